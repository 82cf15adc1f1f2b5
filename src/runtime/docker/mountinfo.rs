//! Lines of the kernel's `mountinfo`: which directory of which file system is mounted where. Pure.
//!
//! A bind mount shows here by its file system's number and by the directory's path within it, whatever
//! the place is called to which it was bound. Paths are bytes, as the kernel keeps them.

/// The directory that a mount shows: the same for everybody who has it, in whatever mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The file system, as `major:minor`.
    pub(super) device: Vec<u8>,
    /// The directory's path within it.
    pub(super) path: Vec<u8>,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its number in its mount namespace.
    pub(super) id: u64,
    /// The directory that it shows.
    pub(super) place: Place,
    /// Where it is mounted.
    pub(super) point: Vec<u8>,
    /// Whoever has it may write.
    pub(super) is_writable: bool,
}

/// The mounts of a whole file. What is not understood is passed over, and so is what shows a directory
/// that was removed meanwhile: it is no place any more.
pub(super) fn mounts(file: &[u8]) -> impl Iterator<Item = Mount> + '_ {
    file.split(|byte| *byte == b'\n').filter_map(mount)
}

fn mount(line: &[u8]) -> Option<Mount> {
    // number, parent's number, file system, directory in it, place, options, …
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = fields.nth(1)?;
    let (path, point) = (fields.next()?, fields.next()?);
    let mut options = fields.next()?.split(|byte| *byte == b',');
    if !device.contains(&b':') || path.ends_with(b"//deleted") {
        return None;
    }
    Some(Mount {
        id,
        place: Place { device: device.to_owned(), path: unescaped(path) },
        point: unescaped(point),
        is_writable: options.any(|option| option == b"rw"),
    })
}

/// The kernel writes blanks, line feeds, backslashes and the like as `\` and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if let (b'\\', Some((digits, beyond))) = (first, after.split_first_chunk::<3>())
            && let Some(byte) = octal(*digits)
        {
            plain.push(byte);
            rest = beyond;
        } else {
            plain.push(*first);
        }
    }
    plain
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let mut value = 0_u16;
    for digit in digits {
        value = value * 8 + u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 8)?);
    }
    u8::try_from(value).ok()
}

impl Place {
    /// What `mount` shows at `path`, which lies beneath the place where it is mounted.
    pub(super) fn beneath(mount: &Mount, path: &[u8]) -> Option<Self> {
        let within = match path.strip_prefix(mount.point.as_slice())? {
            within @ ([] | [b'/', ..]) => within,
            within if mount.point.ends_with(b"/") => within,
            _ => return None,
        };
        Some(Self { device: mount.place.device.clone(), path: join(&mount.place.path, within) })
    }
}

impl Place {
    /// It, and every directory above it on its file system but the file system's root.
    pub(super) fn with_all_above(&self) -> impl Iterator<Item = Self> + '_ {
        let ends = (1..=self.path.len()).rev();
        let is_end = move |end: &usize| *end == self.path.len() || self.path[*end] == b'/';
        ends.filter(is_end)
            .map(move |end| Self { device: self.device.clone(), path: self.path[..end].to_owned() })
    }
}

fn join(base: &[u8], within: &[u8]) -> Vec<u8> {
    let mut whole: Vec<u8> = base.strip_suffix(b"/").unwrap_or(base).to_owned();
    let within = within.strip_prefix(b"/").unwrap_or(within);
    if !within.is_empty() {
        whole.push(b'/');
        whole.extend_from_slice(within);
    }
    if whole.is_empty() { b"/".to_vec() } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Option<Mount> {
        let mut found = mounts(line.as_bytes());
        let first = found.next();
        assert_eq!(found.next(), None);
        first
    }

    fn place(device: &str, path: &str) -> Place {
        Place { device: device.into(), path: path.into() }
    }

    #[test]
    fn a_bind_mount_is_known_by_its_file_system_and_its_directory() {
        let line = "618 617 254:0 /srv/games/7 /var/lib/galaxy-game rw,relatime master:1 shared:2 - ext4 /dev/vda rw";
        let mount = one(line).unwrap();
        assert_eq!((mount.id, mount.place), (618, place("254:0", "/srv/games/7")));
        assert_eq!((mount.point.as_slice(), mount.is_writable), (b"/var/lib/galaxy-game".as_slice(), true));
        // The file system is writable, and this mount of it is not.
        assert!(!one("1 2 8:1 /a /b ro,nosuid - ext4 /dev/sda rw").unwrap().is_writable);
    }

    #[test]
    fn escapes_are_the_bytes_that_they_stand_for_and_broken_ones_stay() {
        let mount = one(r"1 2 8:1 /a\040b\134\012\011c /x\04\999\400\7 rw - ext4 x rw").unwrap();
        assert_eq!(mount.place.path, b"/a b\\\n\tc");
        assert_eq!(mount.point, br"/x\04\999\400\7");
        let whole = mounts(b"1 2 8:1 /\xff\xfe /b rw - ext4 x rw\n").next().unwrap();
        assert_eq!(whole.place.path, b"/\xff\xfe");
    }

    #[test]
    fn what_is_no_mount_or_of_a_directory_that_is_gone_is_passed_over() {
        for line in [
            "",
            " ",
            "1",
            "1 2 8:1 /a /b",
            "x 2 8:1 /a /b rw - ext4",
            "1 2 nodevice /a /b rw - ext4",
            "99999999999999999999999999 2 8:1 /a /b rw - ext4",
            "1 2 8:1 /a//deleted /b rw - ext4",
        ] {
            assert_eq!(one(line), None, "{line}");
        }
        // A directory may be called so.
        assert!(one("1 2 8:1 /a/deleted /b rw - ext4").is_some());
        // Half a line, as when a process ends while it is read; and one of a megabyte.
        let long = format!("1 2 8:1 /{} /b rw - x\n2 1 8:1 /c /d rw - x\n3 1 8:1 /e", "a".repeat(1 << 20));
        assert_eq!(mounts(long.as_bytes()).map(|mount| mount.id).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_place_is_found_through_the_mount_that_shows_it() {
        let at = |root: &str, point: &str, path: &str| {
            let mount = one(&format!("1 2 8:1 {root} {point} rw - x")).unwrap();
            Place::beneath(&mount, path.as_bytes()).map(|place| String::from_utf8(place.path).unwrap())
        };
        assert_eq!(at("/", "/", "/srv/games/7").as_deref(), Some("/srv/games/7"));
        assert_eq!(at("/", "/srv", "/srv/games/7").as_deref(), Some("/games/7"));
        assert_eq!(at("/data/games", "/state", "/state/7").as_deref(), Some("/data/games/7"));
        assert_eq!(at("/", "/state", "/state").as_deref(), Some("/"));
        assert_eq!(at("/x", "/state", "/stateless"), None);
    }
}
