//! The making and healing of each fault.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::support::{KmsFault, Network, Reply};

use super::{deployment::Deployment, expected::Fault};

/// The period of cut connections, while that is the fault.
const BETWEEN_CUTS: Duration = Duration::from_millis(150);
/// The delay of each direction.
const HELD: Duration = Duration::from_millis(800);

/// Makes the fault; a repeated action ends with the task.
pub(super) async fn inject(all: &mut Deployment, fault: Fault) -> Option<JoinHandle<()>> {
    match fault {
        Fault::None => {}
        Fault::KmsDead => restart_without_kms(all, KmsFault::Dead).await,
        Fault::KmsSlow => restart_without_kms(all, KmsFault::Slow(Duration::from_secs(5))).await,
        Fault::KmsThrottles => restart_without_kms(all, KmsFault::Throttle).await,
        Fault::KmsKeyDisabled | Fault::KmsKeyDisabledForLong => {
            all.kms.set_for(&all.kms_key, KmsFault::Disabled);
        }
        Fault::DatabaseStopped => all.postgres.stop_immediate().await,
        Fault::DatabaseStoppedForLong => all.postgres.stop_fast().await,
        Fault::DatabaseReadOnly => all.postgres.set_read_only(true).await,
        Fault::DatabaseDiskFull => all.postgres.limit_files(Some(64 * 1024)),
        Fault::ConnectionsCut => {
            let network = Arc::clone(&all.network);
            return Some(tokio::spawn(async move {
                loop {
                    network.cut();
                    tokio::time::sleep(BETWEEN_CUTS).await;
                }
            }));
        }
        Fault::DatabaseSlow => all.network.set(Network::Delay(HELD)),
        Fault::ReplicaKilled => all.kill_replica(0),
        Fault::ProviderFails => {
            all.provider()
                .on_list(Reply::text(503, ""))
                .on_generate(Reply::text(503, ""));
        }
        Fault::ProviderCuts => {
            all.provider()
                .on_list(Reply::cut(200))
                .on_generate(Reply::cut(200));
        }
    }
    None
}

/// The affected replica loses its data keys with its memory.
async fn restart_without_kms(all: &mut Deployment, fault: KmsFault) {
    all.kms.set(fault);
    all.kill_replica(2);
    all.start_replica(2).await;
}

pub(super) async fn heal(all: &mut Deployment, fault: Fault, lasting: Option<JoinHandle<()>>) {
    if let Some(lasting) = lasting {
        lasting.abort();
    }
    match fault {
        Fault::None | Fault::ConnectionsCut => {}
        Fault::KmsDead
        | Fault::KmsSlow
        | Fault::KmsThrottles
        | Fault::KmsKeyDisabled
        | Fault::KmsKeyDisabledForLong => all.kms.heal(),
        Fault::DatabaseStopped | Fault::DatabaseStoppedForLong => all.postgres.start_again().await,
        Fault::DatabaseReadOnly => all.postgres.set_read_only(false).await,
        Fault::DatabaseDiskFull => {
            all.postgres.limit_files(None);
            // A server that cannot write its log stops, as PostgreSQL does on a full disk; an operator starts it.
            all.postgres.stop_immediate().await;
            all.postgres.start_again().await;
        }
        Fault::DatabaseSlow => all.network.set(Network::Pass),
        Fault::ReplicaKilled => all.start_replica(0).await,
        Fault::ProviderFails | Fault::ProviderCuts => {
            all.provider().models_ok(&["small-2030", "haiku-1"]);
        }
    }
}
