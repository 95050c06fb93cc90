//! Copies of folders: the tracked tree, and a build folder with its times.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of the workspace at `root`, relative to it: what git tracks or would track, else (an unpacked archive)
/// everything but build folders and hidden ones.
pub(crate) fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = Command::new("git").args(["ls-files", "-coz", "--exclude-standard"]).current_dir(root).output();
    if let Ok(output) = listed
        && output.status.success()
    {
        let names = String::from_utf8_lossy(&output.stdout);
        // A tracked file may have been removed from the tree.
        let files = names.split_terminator('\0').map(PathBuf::from).filter(|file| root.join(file).is_file());
        return Ok(files.collect());
    }
    walk(root, &|name| name != "target" && !name.starts_with('.'))
}

/// Every file below `root` whose path has only folders that `enter` accepts, relative to `root`.
fn walk(root: &Path, enter: &dyn Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                files.push(path);
            } else if enter(&entry.file_name().to_string_lossy()) {
                folders.push(path);
            }
        }
    }
    Ok(files)
}

/// Copies `files` from one root to another. The copies are new files: a build sees them as changed.
pub(crate) fn tree(files: &[PathBuf], from: &Path, to: &Path) -> io::Result<()> {
    for file in files {
        let target = to.join(file);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::copy(from.join(file), target)?;
    }
    Ok(())
}

/// Copies a build folder with the times of its files, by which cargo knows what is fresh.
pub(crate) fn build(from: &Path, to: &Path) -> io::Result<()> {
    let files = walk(from, &|name| name != "incremental")?;
    tree(&files, from, to)?;
    for file in &files {
        let times = fs::metadata(from.join(file))?;
        let times = fs::FileTimes::new().set_modified(times.modified()?);
        fs::File::options().append(true).open(to.join(file))?.set_times(times)?;
    }
    Ok(())
}
