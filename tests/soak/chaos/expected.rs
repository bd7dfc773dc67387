//! The expected answers of each call in each fault: the one table that judges the run.
//!
//! A cell has the allowed answers, and those that must appear at least once; any other answer fails the run.
//! It applies to calls that began after the fault was felt and ended before it was healed.
//!
//! Not here: the making of a fault (`faults`).

use Seen::{Degraded, Gone, Kms, Ok, Provider, Store};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Call {
    /// `ResolveCredentials` of a workspace that every replica has in memory and no caller changes.
    Warm,
    /// Of a workspace that changes all the time.
    Changing,
    /// Of a workspace that this replica has not answered for yet.
    Cold,
    SetKey,
    ToggleByo,
    DeleteKey,
    GetWorkspace,
    ListModels,
    VerifyKey,
}

impl Call {
    pub(super) const ALL: [Self; 9] = [
        Self::Warm,
        Self::Changing,
        Self::Cold,
        Self::SetKey,
        Self::ToggleByo,
        Self::DeleteKey,
        Self::GetWorkspace,
        Self::ListModels,
        Self::VerifyKey,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Warm => "Resolve, warm",
            Self::Changing => "Resolve, just changed",
            Self::Cold => "Resolve, cold",
            Self::SetKey => "SetKey",
            Self::ToggleByo => "ToggleByo",
            Self::DeleteKey => "DeleteKey",
            Self::GetWorkspace => "GetWorkspace",
            Self::ListModels => "ListModels",
            Self::VerifyKey => "VerifyKey",
        }
    }

    /// Whether it may write.
    pub(super) fn changes(self) -> bool {
        matches!(self, Self::SetKey | Self::ToggleByo | Self::DeleteKey)
    }

    /// The number of calls in a sample.
    pub(super) fn enough(self) -> usize {
        match self {
            Self::Warm => 60,
            Self::Changing => 30,
            Self::Cold => 12,
            _ => 4,
        }
    }
}

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Seen {
    /// OK; or the refusal that the workspace's own state demands, `BYO_KEY_MISSING`.
    Ok,
    /// OK, and `degraded`.
    Degraded,
    Store,
    Kms,
    Provider,
    /// No answer of byokd: the connection is gone, or there is none.
    Gone,
    /// An answer that no cell allows.
    Other,
}

impl Seen {
    pub(super) fn word(self) -> &'static str {
        match self {
            Ok => "OK",
            Degraded => "OK, degraded",
            Store => "UNAVAILABLE / STORE_UNAVAILABLE",
            Kms => "UNAVAILABLE / KMS_UNAVAILABLE",
            Provider => "UNAVAILABLE / PROVIDER_UNREACHABLE",
            Gone => "no answer",
            Self::Other => "something else",
        }
    }

    pub(super) fn of(status: &Status) -> Self {
        match status.get_details_error_info() {
            None => Gone,
            Some(info) if info.domain != "byokd" || status.code() != Code::Unavailable => {
                Self::Other
            }
            Some(info) => match info.reason.as_str() {
                "STORE_UNAVAILABLE" => Store,
                "KMS_UNAVAILABLE" => Kms,
                "PROVIDER_UNREACHABLE" => Provider,
                _ => Self::Other,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// One replica is killed and starts without the KMS; the others hold their data keys.
    KmsDead,
    KmsSlow,
    KmsThrottles,
    KmsKeyDisabled,
    KmsKeyDisabledForLong,
    DatabaseStopped,
    DatabaseStoppedForLong,
    DatabaseReadOnly,
    DatabaseDiskFull,
    ConnectionsCut,
    DatabaseSlow,
    ReplicaKilled,
    ProviderFails,
    ProviderCuts,
}

impl Fault {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::KmsDead => "KMS dead",
            Self::KmsSlow => "KMS answers after 5 s",
            Self::KmsThrottles => "KMS throttles",
            Self::KmsKeyDisabled => "KMS key disabled for seconds",
            Self::KmsKeyDisabledForLong => "KMS key disabled until the data keys are dropped",
            Self::DatabaseStopped => "database stopped, within the grace",
            Self::DatabaseStoppedForLong => "database stopped, grace over",
            Self::DatabaseReadOnly => "database read-only",
            Self::DatabaseDiskFull => "disk of the database full",
            Self::ConnectionsCut => "connections to the database cut again and again",
            Self::DatabaseSlow => "database slow (1.6 s a round trip)",
            Self::ReplicaKilled => "one replica killed",
            Self::ProviderFails => "provider answers 503",
            Self::ProviderCuts => "provider breaks off",
        }
    }

    /// Whether the database is involved.
    pub(super) fn is_of_the_database(self) -> bool {
        matches!(
            self,
            Self::DatabaseStopped
                | Self::DatabaseStoppedForLong
                | Self::DatabaseReadOnly
                | Self::DatabaseDiskFull
                | Self::ConnectionsCut
                | Self::DatabaseSlow
        )
    }

    /// The replica that a fault affects more than the others.
    pub(super) fn struck(self) -> Option<usize> {
        match self {
            Self::ReplicaKilled => Some(0),
            Self::KmsDead | Self::KmsSlow | Self::KmsThrottles => Some(2),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) may: &'static [Seen],
    pub(super) must: Option<Seen>,
}

const fn only(may: &'static [Seen]) -> Cell {
    Cell {
        may,
        must: Some(may[0]),
    }
}

const fn any(may: &'static [Seen]) -> Cell {
    Cell { may, must: None }
}

const OK: Cell = only(&[Ok]);
const DEG: Cell = only(&[Degraded]);
const STO: Cell = only(&[Store]);
const KMS: Cell = only(&[Kms]);
const PRO: Cell = only(&[Provider]);
const GON: Cell = only(&[Gone]);
/// A workspace without a key needs no KMS to be refused.
const KMS_: Cell = only(&[Kms, Ok]);
/// A workspace that just changed may be known to be stale, and then there is nothing to serve.
const CHG: Cell = any(&[Ok, Degraded, Store]);
const O_D: Cell = any(&[Ok, Degraded]);
const O_S: Cell = any(&[Ok, Store]);

type Row = (Fault, [Cell; 9]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                               warm  chang cold  Set   Toggl Delet Get   List  Verify
    (Fault::None,                   [OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK]),
    (Fault::KmsDead,                [OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK]),
    (Fault::KmsSlow,                [OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK]),
    (Fault::KmsThrottles,           [OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK]),
    (Fault::KmsKeyDisabled,         [OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK]),
    (Fault::KmsKeyDisabledForLong,  [KMS,  KMS_, KMS,  KMS,  KMS,  OK,   OK,   OK,   KMS]),
    (Fault::DatabaseStopped,        [DEG,  CHG,  STO,  STO,  STO,  STO,  STO,  STO,  STO]),
    (Fault::DatabaseStoppedForLong, [STO,  STO,  STO,  STO,  STO,  STO,  STO,  STO,  STO]),
    (Fault::DatabaseReadOnly,       [O_D,  CHG,  O_S,  STO,  STO,  STO,  O_S,  O_S,  STO]),
    (Fault::DatabaseDiskFull,       [O_D,  CHG,  O_S,  STO,  STO,  STO,  O_S,  O_S,  O_S]),
    (Fault::ConnectionsCut,         [O_D,  CHG,  O_S,  O_S,  O_S,  O_S,  O_S,  O_S,  O_S]),
    (Fault::DatabaseSlow,           [DEG,  CHG,  STO,  STO,  STO,  STO,  STO,  STO,  STO]),
    (Fault::ReplicaKilled,          [OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK,   OK]),
    (Fault::ProviderFails,          [OK,   OK,   OK,   PRO,  OK,   OK,   OK,   OK,   OK]),
    (Fault::ProviderCuts,           [OK,   OK,   OK,   PRO,  OK,   OK,   OK,   OK,   OK]),
];

/// The same for the affected replica. ToggleByo is called with a request id here, which needs a data key.
#[rustfmt::skip]
const STRUCK: &[Row] = &[
    (Fault::KmsDead,                [KMS,  KMS_, KMS,  KMS,  KMS,  OK,   OK,   OK,   KMS]),
    (Fault::KmsSlow,                [KMS,  KMS_, KMS,  KMS,  KMS,  OK,   OK,   OK,   KMS]),
    (Fault::KmsThrottles,           [KMS,  KMS_, KMS,  KMS,  KMS,  OK,   OK,   OK,   KMS]),
    (Fault::ReplicaKilled,          [GON,  GON,  GON,  GON,  GON,  GON,  GON,  GON,  GON]),
];

/// The expected answers of a call while the fault lasts.
pub(super) fn expected(fault: Fault, call: Call, struck: bool) -> Cell {
    let of = |table: &[Row]| {
        let column = Call::ALL.iter().position(|one| *one == call).unwrap();
        table
            .iter()
            .find(|row| row.0 == fault)
            .map(|row| row.1[column])
    };
    struck
        .then(|| of(STRUCK))
        .flatten()
        .or_else(|| of(TABLE))
        .unwrap()
}

/// Whether this answer is allowed while the fault begins or ends.
pub(super) fn in_between(fault: Fault, call: Call, replica: usize, seen: Seen) -> bool {
    let struck = fault.struck() == Some(replica);
    seen == Ok
        || expected(fault, call, struck).may.contains(&seen)
        || (fault.is_of_the_database() && matches!(seen, Degraded | Store))
        || (struck && seen == Gone)
}
