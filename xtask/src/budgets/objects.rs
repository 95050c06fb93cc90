//! Which instructions of a binary are locked: read-modify-writes and full fences of x86-64.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// The locked instructions of an object, by address.
type Locked = Arc<HashSet<u64>>;

/// Objects do not change while this runs.
static KNOWN: Mutex<Option<HashMap<String, Locked>>> = Mutex::new(None);

/// The addresses of the locked instructions of `object`, a path; nothing on other processors and without `objdump`.
pub(super) fn locked(object: &str) -> Result<Option<Locked>, String> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(None);
    }
    let mut known = KNOWN.lock().map_err(|_| "another thread panicked".to_string())?;
    let known = known.get_or_insert_default();
    if let Some(locked) = known.get(object) {
        return Ok(Some(Arc::clone(locked)));
    }
    // Without a file it is code of valgrind's own, or of the kernel.
    let locked = if Path::new(object).is_file() { disassemble(object)? } else { Some(HashSet::new()) };
    let Some(locked) = locked.map(Arc::new) else { return Ok(None) };
    known.insert(object.to_owned(), Arc::clone(&locked));
    Ok(Some(locked))
}

fn disassemble(object: &str) -> Result<Option<HashSet<u64>>, String> {
    let called = Command::new("objdump").args(["-d", "--no-show-raw-insn", object]).stderr(Stdio::null()).output();
    let Ok(output) = called else { return Ok(None) };
    if !output.status.success() {
        return Err(format!("objdump cannot read {object}"));
    }
    Ok(Some(read(&String::from_utf8_lossy(&output.stdout))))
}

/// The addresses of the locked instructions in what `objdump -d` prints.
fn read(text: &str) -> HashSet<u64> {
    text.lines()
        .filter_map(|line| {
            let (address, instruction) = line.trim_start().split_once(":\t")?;
            let locks = instruction.starts_with("lock ")
                || instruction.starts_with("mfence")
                // An exchange with memory is locked without saying so.
                || (instruction.starts_with("xchg") && instruction.contains('('));
            if locks { u64::from_str_radix(address, 16).ok() } else { None }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_instructions_are_found() {
        let text = "00000000000117ec <f>:\n   117ec:\tlock xadd %rax,(%rdi)\n   117f1:\txchg   %ax,%ax\n   \
            117f3:\txchg   %rax,0x8(%rdi)\n   117f7:\tmfence\n   117fa:\tmov    %rax,(%rdi)\n";
        assert_eq!(read(text), HashSet::from([0x117ec, 0x117f3, 0x117f7]));
    }
}
