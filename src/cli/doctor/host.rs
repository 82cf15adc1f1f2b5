//! What a host has only so much of: room on its disks, and places in its network.

use std::path::Path;

use super::Finding;

/// Less than this is worth a look: a hundredth, or so many bytes or inodes.
const FEW_BYTES: u64 = 1 << 30;
const FEW_INODES: u64 = 10_000;

/// What is free.
struct Free {
    bytes: u64,
    /// None where inodes are made as they are needed.
    inodes: Option<u64>,
    of_bytes: u64,
    of_inodes: u64,
}

/// Bytes and inodes of the file system that this is on.
pub(super) fn room(path: &Path) -> Finding {
    let place = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let about = match rustix::fs::statvfs(place) {
        Ok(about) => about,
        Err(error) => {
            let told = format!("{} cannot be asked for its room: {error}", place.display());
            return Finding::Warn(told, "look with `df` and `df -i`".into());
        }
    };
    judge(
        place,
        &Free {
            bytes: about.f_bavail.saturating_mul(about.f_frsize),
            inodes: (about.f_files > 0).then_some(about.f_favail),
            of_bytes: about.f_blocks.saturating_mul(about.f_frsize),
            of_inodes: about.f_files,
        },
    )
}

fn judge(place: &Path, free: &Free) -> Finding {
    const MIB: u64 = 1 << 20;
    let mut told = format!("{} MiB free at {}", free.bytes / MIB, place.display());
    let inodes = free.inodes.unwrap_or(u64::MAX);
    if free.inodes.is_some() {
        told.push_str(&format!(", {inodes} inodes"));
    }
    let is_out = free.bytes == 0 || inodes == 0;
    let few_bytes = free.bytes < FEW_BYTES.min(free.of_bytes / 10) || free.bytes < free.of_bytes / 100;
    let few_inodes = inodes < FEW_INODES.min(free.of_inodes / 10) || inodes < free.of_inodes / 100;
    let advice = if few_inodes && !few_bytes {
        "there is room for bytes and hardly for another file: remove many small files, or move this to a file system with more inodes (df -i)"
    } else {
        "make room, or move this to a larger disk: without it no state and no copy is written (df)"
    };
    if is_out {
        Finding::Fail(told, advice.into())
    } else if few_bytes || few_inodes {
        Finding::Warn(told, advice.into())
    } else {
        Finding::Ok(told)
    }
}

/// A bridge of Linux has so many ports, and one of them is not a container's.
const BRIDGE: u64 = 1_023;

/// How many engines one network of this host carries.
pub(super) fn neighbours(games: u64) -> Option<Finding> {
    let limit = std::fs::read_to_string("/proc/sys/net/ipv4/neigh/default/gc_thresh3").ok()?;
    Some(crowded(games, limit.trim().parse().ok()?))
}

fn crowded(games: u64, neighbours: u64) -> Finding {
    let told = format!("{games} games; a bridge carries {BRIDGE} engines, the neighbour table {neighbours}");
    if games >= BRIDGE {
        return Finding::Warn(
            told,
            "no more engines than that start in one network; divide the games among hosts".into(),
        );
    }
    if games.saturating_add(games / 10) >= neighbours {
        let advice =
            "raise net.ipv4.neigh.default.gc_thresh3 (sysctl), or engines cannot be reached by turns";
        return Finding::Warn(told, advice.into());
    }
    Finding::Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_which_of_the_two_is_missing() {
        const GIB: u64 = 1 << 30;
        let of = |bytes, inodes| {
            let free = Free { bytes, inodes, of_bytes: 100 * GIB, of_inodes: 1_000_000 };
            judge(Path::new("/x"), &free)
        };
        assert!(matches!(of(50 * GIB, Some(500_000)), Finding::Ok(_)));
        assert!(matches!(of(50 * GIB, None), Finding::Ok(_)));
        assert!(matches!(of(GIB / 2, Some(500_000)), Finding::Warn(_, advice) if advice.contains("(df)")));
        assert!(matches!(of(50 * GIB, Some(500)), Finding::Warn(_, advice) if advice.contains("inodes")));
        assert!(matches!(of(50 * GIB, Some(0)), Finding::Fail(_, advice) if advice.contains("inodes")));
        assert!(matches!(of(0, None), Finding::Fail(..)));
    }

    #[test]
    fn a_small_disk_that_is_half_empty_is_no_finding() {
        let free = Free { bytes: 200 << 20, inodes: Some(2_000), of_bytes: 400 << 20, of_inodes: 4_000 };
        assert!(matches!(judge(Path::new("/x"), &free), Finding::Ok(_)));
    }

    #[test]
    fn crowds_are_told_before_they_are_too_large() {
        assert!(matches!(crowded(200, 1_024), Finding::Ok(_)));
        assert!(matches!(crowded(950, 1_024), Finding::Warn(_, advice) if advice.contains("gc_thresh3")));
        assert!(matches!(crowded(1_023, 8_192), Finding::Warn(_, advice) if advice.contains("divide")));
    }
}
