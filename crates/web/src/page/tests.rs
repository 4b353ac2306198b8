//! What no template may hold, so that the strict policy never gets in its own way.

use std::fs;
use std::path::Path;

/// Each template with its name.
fn templates() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/templates");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let templates: Vec<_> = files
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(templates.len() > 10, "only {} templates were found", templates.len());
    templates
}

/// What each tag of a template says of itself: its name and its attributes.
fn tags(text: &str) -> Vec<String> {
    let tags = text.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    tags.map(str::to_ascii_lowercase).collect()
}

fn fault(tag: &str) -> Option<&'static str> {
    let name = tag.split([' ', '\n']).next().unwrap_or_default();
    let has = |attribute: &str| {
        tag.split([' ', '\n', '"']).any(|part| part.trim().starts_with(attribute))
    };
    if name == "style" || has("style=") {
        return Some("a style of its own");
    }
    if name == "script" && !tag.contains("src=") {
        return Some("a script within the page");
    }
    if has("hx-on") || has("on") && tag.split(' ').any(is_handler) {
        return Some("a handler within the page");
    }
    if tag.contains("js:") || tag.contains("javascript:") {
        return Some("code in a value");
    }
    let trigger = tag.split("hx-trigger=\"").nth(1).and_then(|rest| rest.split('"').next());
    if trigger.is_some_and(|trigger| trigger.contains('[')) {
        return Some("a filter, which is code");
    }
    None
}

fn is_handler(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default();
    part.contains('=') && name.len() > 2 && name.starts_with("on")
}

#[test]
fn templates_hold_no_code_and_no_styles() {
    for (name, text) in templates() {
        for tag in tags(&text) {
            assert_eq!(fault(&tag), None, "{name}: <{tag}>");
        }
        assert!(!text.contains("|safe") && !text.contains("| safe"), "{name}");
    }
}

#[test]
fn what_templates_may_not_hold_is_seen() {
    for bad in [
        "<style>p {}</style>",
        "<p class=\"x\" style=\"color: red\">",
        "<script>x()</script>",
        "<button hx-on:click=\"x()\">",
        "<button onclick=\"x()\">",
        "<a href=\"javascript:x()\">",
        "<p hx-vals=\"js:{x}\">",
        "<p hx-get=\"/ui\" hx-trigger=\"click[x]\">",
    ] {
        assert!(tags(bad).iter().any(|tag| fault(tag).is_some()), "{bad}");
    }
    for good in ["<script src=\"x\" defer></script>", "<p class=\"on\">", "<option value=\"one\">"]
    {
        assert!(tags(good).iter().all(|tag| fault(tag).is_none()), "{good}");
    }
}

/// Every field is called something.
#[test]
fn fields_have_labels() {
    for (name, text) in templates() {
        let mut in_label = false;
        for tag in tags(&text) {
            let kind = tag.split([' ', '\n']).next().unwrap_or_default();
            match kind {
                "label" => in_label = true,
                "/label" => in_label = false,
                "input" | "select" | "textarea" => {
                    let is_named = in_label || tag.contains("aria-label=");
                    assert!(is_named || tag.contains("type=\"hidden\""), "{name}: <{tag}>");
                }
                _ => {}
            }
        }
    }
}
