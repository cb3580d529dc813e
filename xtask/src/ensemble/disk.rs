//! A small disk in memory that can be filled.
//!
//! To be used inside of [`super::isolation`] only: the mount ends with its namespace.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::isolation;

/// The file that fills the disk.
const BALLAST: &str = "ballast";

/// A disk that is mounted on a folder until this is dropped; what is on it is lost then.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts an empty disk of so many MiB on `folder`, which is made.
    ///
    /// # Errors
    /// When this program is not isolated or may not mount.
    pub fn mount(folder: &Path, mib: u32) -> Result<Self> {
        ensure!(
            isolation::is_inside(),
            "disks are only mounted inside of namespaces of this program's own"
        );
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(folder)
            .status()
            .context("cannot start mount")?;
        ensure!(status.success(), "mount on {} fails: {status}", folder.display());
        Ok(Self {
            folder: folder.to_path_buf(),
        })
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// When writing fails for another reason than a full disk.
    pub fn fill(&self) -> Result<()> {
        let file = self.folder.join(BALLAST);
        let mut ballast = File::create(&file).with_context(|| format!("cannot make {}", file.display()))?;
        // A whole page at a time: what is left is less than a file could use.
        let page = [0; 4096];
        loop {
            match ballast.write(&page) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => bail!("cannot fill {}: {error}", self.folder.display()),
            }
        }
    }

    /// Makes room again.
    ///
    /// # Errors
    /// When the ballast cannot be removed.
    pub fn relieve(&self) -> Result<()> {
        let file = self.folder.join(BALLAST);
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // One that is still in use stays mounted until the namespace ends.
        let _ = Command::new("umount").arg(&self.folder).status();
    }
}
