//! `docs/settings.md` is made of the declarations.

use std::fs;
use std::path::Path;

#[test]
fn the_page_of_settings_is_current() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let kept = fs::read_to_string(&page).unwrap_or_default();
    let made = postrider_config::reference();
    if kept != made {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("settings.md");
        fs::write(&fresh, made).unwrap();
        panic!("docs/settings.md is not current: cp {} docs/settings.md", fresh.display());
    }
}
