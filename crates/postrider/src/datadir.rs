//! The data dir of embedded mode: database, master key, and a lock that keeps a second process
//! out.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use postrider_cli::{Exit, Failure};
use postrider_config::{read_text, without_newline};
use postrider_store::MasterKey;
use rustix::fs::{FlockOperation, flock};
use secrecy::{ExposeSecret, SecretString};

const DATABASE: &str = "postrider.db";
const MASTER_KEY: &str = "master.key";
const LOCK: &str = "postrider.lock";

/// A data dir that this process has to itself until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// The lock is the open file's; the kernel gives it back however the process ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory when missing (0700) and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| unusable(path, "cannot be made", &error))?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|error| unusable(&lock_path, "cannot be opened", &error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK {
                Failure::usage(format!("another postrider is running on {}", path.display()))
                    .fix("stop it, or give this one its own POSTRIDER_DATA_DIR")
            } else {
                unusable(&lock_path, "cannot be locked", &error.into())
            }
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The database file, its owner's alone also in a directory that others may read: SQLite gives
    /// its other files the same rights. Once there is a key for it.
    pub(crate) fn private_database(&self) -> Result<PathBuf, Failure> {
        let path = self.database();
        let database =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        database
            .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o600)))
            .map_err(|error| unusable(&path, "cannot be made private", &error))?;
        Ok(path)
    }

    /// Where the database is.
    fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The key in `master.key`, made at the first start (0600).
    pub(crate) fn master_key(&self) -> Result<MasterKey, Failure> {
        let path = self.path.join(MASTER_KEY);
        refuse_open_key(&path)?;
        match read_text(&path) {
            Ok(text) => {
                let text = SecretString::from(without_newline(&text));
                MasterKey::from_base64(&text).map_err(|what| {
                    Failure::usage(format!("{}: {what}", path.display())).fix(
                        "put the right key back: what was sealed with it can't be read without",
                    )
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.new_master_key(&path),
            Err(error) => Err(unusable(&path, "cannot be read", &error)),
        }
    }

    /// A key over an existing database would only hide that the right one is gone. The file
    /// appears whole or not at all: a crash must not leave half a key.
    fn new_master_key(&self, path: &Path) -> Result<MasterKey, Failure> {
        if self.database().exists() {
            return Err(Failure::usage(format!("{} is gone", path.display()))
                .fix("put it back from a backup, or set POSTRIDER_MASTER_KEY"));
        }
        let key = MasterKey::generate();
        write_whole(path, &key.to_base64())
            .map_err(|error| unusable(path, "cannot be written", &error))?;
        Ok(key)
    }
}

/// Whoever reads the key reads every secret: others of the machine must not, and that its group
/// may is told.
fn refuse_open_key(path: &Path) -> Result<(), Failure> {
    // What is wrong with a file that can't be looked at is told when it is read.
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode();
    if mode & 0o007 != 0 {
        let what = format!("{} can be read or changed by everybody", path.display());
        return Err(Failure::usage(what).fix(format!("chmod 600 {}", path.display())));
    }
    if mode & 0o070 != 0 {
        tracing::warn!(path = %path.display(), fix = "chmod 600", "master_key.open_to_group");
    }
    Ok(())
}

fn write_whole(path: &Path, text: &SecretString) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{}", text.expose_secret())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn unusable(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("{} {what}: {error}", path.display()))
        .fix("set POSTRIDER_DATA_DIR to a directory that this user may write")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directory_and_key_are_for_their_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let dir = DataDir::open(&path).unwrap();
        let key = dir.master_key().unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("master.key")), 0o600);
        assert_eq!(mode(&dir.private_database().unwrap()), 0o600);
        assert_eq!(dir.master_key().unwrap().id(), key.id());
    }

    #[test]
    fn a_database_that_others_could_read_becomes_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join(DATABASE);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        assert_eq!(dir.private_database().unwrap(), path);
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        dir.master_key().unwrap();
        let path = parent.path().join("master.key");
        for (mode, is_fine) in
            [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o602, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = dir.master_key();
            assert_eq!(read.is_ok(), is_fine, "{mode:o}");
            if let Err(refused) = read {
                assert!(refused.to_string().contains("everybody"), "{refused}");
            }
        }
    }

    #[test]
    fn a_second_process_is_kept_out_until_the_first_ends() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(parent.path()).unwrap();
        let failure = DataDir::open(parent.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("another postrider is running"), "{failure}");
        drop(first);
        DataDir::open(parent.path()).unwrap();
    }

    #[test]
    fn a_lost_key_is_not_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let dir = DataDir::open(parent.path()).unwrap();
        fs::write(dir.database(), "").unwrap();
        assert!(dir.master_key().unwrap_err().message.contains("master.key is gone"));
    }

    #[test]
    fn a_file_in_the_way_is_a_usage_error() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        assert_eq!(DataDir::open(&path).unwrap_err().exit, Exit::Usage);
    }
}
