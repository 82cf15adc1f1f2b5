//! How far the copying of states is, for those who ask.

use std::sync::{Arc, Mutex};

use crate::runtime::CopyProgress;

/// Shared with the copying.
pub(super) type Progress = Arc<Mutex<CopyProgress>>;

/// How far it is, in words for people.
pub(super) fn words(progress: &Progress) -> String {
    const MIB: u64 = 1 << 20;
    let CopyProgress { files, files_total, bytes, bytes_total } =
        progress.lock().map(|progress| *progress).unwrap_or_default();
    match files_total {
        0 => "it is being looked through".to_owned(),
        _ => format!("{files} of {files_total} files, {} of {} MiB", bytes / MIB, bytes_total.div_ceil(MIB)),
    }
}
