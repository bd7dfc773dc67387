//! As many calls as possible, and how many of all calls were refused.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    client::{Call, Felt, Until},
    replica::Replica,
};

/// Connections, and calls at once on each.
pub(crate) const SHAPE: (usize, usize) = (4, 4);

static ANSWERED: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// As many calls as possible.
pub(crate) async fn flooded(call: &Call, to: &Replica, until: Until) -> Felt {
    granted(call.flood(&to.at(), SHAPE.0, SHAPE.1, until).await)
}

/// Counts them. On a machine that is busy with something else the database is late, and some calls are refused.
pub(crate) fn granted(felt: Felt) -> Felt {
    let (answered, refused) = (felt.took.len(), felt.failed);
    assert!(
        answered >= refused,
        "{refused} calls were refused, {answered} answered: the keys do not resolve"
    );
    ANSWERED.fetch_add(felt.took.len(), Ordering::Relaxed);
    REFUSED.fetch_add(felt.failed, Ordering::Relaxed);
    felt
}

/// The part of all calls that was refused.
pub(crate) fn refused() -> f64 {
    let [answered, refused] =
        [&ANSWERED, &REFUSED].map(|count| count.load(Ordering::Relaxed) as f64);
    refused / (answered + refused)
}
