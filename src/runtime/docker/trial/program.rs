//! The program of a trial: it writes its second argument to its log, makes the file that its first one
//! names, and ends with 0, or with the number of the error that kept it from that. It is so small that it
//! comes with its machine code, needs no library, and its image is made here: nothing is pulled, and no
//! game's engine is run on nothing.

/// The path of the program in its image.
pub(super) const PATH: &str = "/trial";

/// ```asm
///     mov rbx, [rsp+16]         ; argv[1], the file
///     mov rsi, [rsp+24]         ; argv[2], the line
///     xor edx, edx
/// 1:  cmp byte ptr [rsi+rdx], 0
///     je 2f
///     inc edx
///     jmp 1b
/// 2:  mov edi, 1
///     mov eax, edi
///     syscall                   ; write(1, line, length)
///     mov rdi, rbx
///     mov esi, 0xc1             ; O_WRONLY | O_CREAT | O_EXCL
///     mov edx, 0600
///     mov eax, 2
///     syscall                   ; open(file, …)
///     xor edi, edi
///     test eax, eax
///     jns 3f
///     sub edi, eax
/// 3:  mov eax, 60
///     syscall                   ; exit(0 or errno)
/// ```
const X86_64: &str = "488b5c2410488b74241831d2803c16007404ffc2ebf6bf0100000089f80f054889dfbec1000000ba80010000b8020000000f0531ff85c0790229c7b83c0000000f05";

/// The same for the other architecture on which Docker is common: write is call 64, openat 56, exit 93.
///
/// ```asm
///     ldr x19, [sp, #16]
///     ldr x20, [sp, #24]
///     mov x2, #0
/// 1:  ldrb w3, [x20, x2]
///     cbz w3, 2f
///     add x2, x2, #1
///     b 1b
/// 2:  mov x0, #1
///     mov x1, x20
///     mov x8, #64
///     svc #0
///     mov x0, #-100
///     mov x1, x19
///     mov x2, #0xc1
///     mov x3, #0600
///     mov x8, #56
///     svc #0
///     tbz x0, #63, 3f
///     neg x0, x0
///     b 4f
/// 3:  mov x0, #0
/// 4:  mov x8, #93
///     svc #0
/// ```
const AARCH64: &str = "f30b40f9f40f40f9020080d2836a62386300003442040091fdffff17200080d2e10314aa080880d2010000d4600c8092e10313aa221880d2033080d2080780d2010000d46000f8b6e00300cb02000014000080d2a80b80d2010000d4";

/// The archive of an image that holds the program for this architecture, in Docker's word for it; none if
/// there is none for it.
pub(super) fn archive(architecture: &str) -> Option<Vec<u8>> {
    let (machine, code) = match architecture {
        "x86_64" | "amd64" => (62_u16, X86_64),
        "aarch64" | "arm64" => (183, AARCH64),
        _ => return None,
    };
    let program = executable(machine, &bytes(code));
    let mut archive = header(PATH.trim_start_matches('/'), program.len());
    archive.extend_from_slice(&program);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    Some(archive)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).filter_map(digit).collect()
}

/// Where the program is loaded: the usual place.
const LOADED_AT: u64 = 0x40_0000;

/// The length of the headers, which are loaded with what follows them.
const HEADERS: u64 = 64 + 56;

/// An ELF file of one segment.
fn executable(machine: u16, code: &[u8]) -> Vec<u8> {
    let length = HEADERS + code.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    file.resize(16, 0);
    for half in [2_u16, machine] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    file.extend_from_slice(&1_u32.to_le_bytes());
    // Entry, program headers, no section headers.
    for word in [LOADED_AT + HEADERS, 64, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    // One segment, to be loaded, read and executed.
    for half in [1_u32, 5] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    for word in [0, LOADED_AT, LOADED_AT, length, length, 0x1_0000] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(code);
    file
}

const BLOCK: usize = 512;

/// A tar header of a file that everybody may execute.
fn header(name: &str, length: usize) -> Vec<u8> {
    let mut header = vec![0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{length:011o}\0"));
    put(136, "00000000000\0");
    // The sum is taken with spaces in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn an_archive_is_one_that_tar_reads() {
        for architecture in ["x86_64", "aarch64"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("image.tar");
            std::fs::write(&path, archive(architecture).unwrap()).unwrap();
            let unpacked = Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(directory.path()).status();
            assert!(unpacked.unwrap().success());
            let program = directory.path().join("trial");
            assert_eq!(std::fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
            assert!(std::fs::read(program).unwrap().starts_with(b"\x7fELF"));
        }
        assert_eq!(archive("riscv64"), None);
    }

    #[test]
    fn the_program_says_its_line_makes_its_file_and_tells_why_it_cannot() {
        let Some(archive) = archive(std::env::consts::ARCH) else { return };
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("trial");
        let length =
            HEADERS as usize + bytes(if cfg!(target_arch = "x86_64") { X86_64 } else { AARCH64 }).len();
        let mut file = std::fs::File::create(&program).unwrap();
        file.write_all(&archive[BLOCK..BLOCK + length]).unwrap();
        drop(file);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let run = |file: &std::path::Path| Command::new(&program).arg(file).arg("a line\n").output().unwrap();
        let made = directory.path().join("made");
        let first = run(&made);
        assert_eq!((first.status.code(), first.stdout.as_slice()), (Some(0), b"a line\n".as_slice()));
        assert!(made.exists());
        assert_eq!(run(&made).status.code(), Some(rustix::io::Errno::EXIST.raw_os_error()));
        let nowhere = run(&directory.path().join("no/where"));
        assert_eq!(nowhere.status.code(), Some(rustix::io::Errno::NOENT.raw_os_error()));
    }
}
