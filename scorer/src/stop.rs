//! Being told to stop: each signal is one change of a watched value, which is true from the first one on.

use std::future::{Future, pending};

use tokio::sync::watch;

use crate::context::StepError;

/// Does one step of a run, and gives it up when told to stop.
///
/// # Errors
/// Those of the step, and [`StepError::Stopped`].
pub async fn unless_told<T>(
    stop: &mut watch::Receiver<bool>,
    step: &'static str,
    work: impl Future<Output = Result<T, StepError>>,
) -> Result<T, StepError> {
    tokio::select! {
        biased;
        () = told(stop) => Err(StepError::Stopped(step)),
        done = work => done,
    }
}

/// Does one step of a run that sees to the first signal itself, and gives it up at the second.
///
/// # Errors
/// Those of the step, and [`StepError::Stopped`].
pub async fn unless_told_again<T>(
    stop: &watch::Receiver<bool>,
    step: &'static str,
    work: impl Future<Output = Result<T, StepError>>,
) -> Result<T, StepError> {
    let mut stop = stop.clone();
    let again = async {
        if !*stop.borrow_and_update() {
            told(&mut stop).await;
        }
        told(&mut stop).await;
    };
    tokio::select! {
        biased;
        () = again => Err(StepError::Stopped(step)),
        done = work => done,
    }
}

/// Waits until told to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could tell.
        pending::<()>().await;
    }
}

async fn told(stop: &mut watch::Receiver<bool>) {
    if stop.changed().await.is_err() {
        // Nobody is left who could tell.
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn for_ever() -> Result<(), StepError> {
        pending().await
    }

    #[tokio::test]
    async fn a_step_that_never_ends_is_given_up_when_told() {
        let (send, mut stop) = watch::channel(false);
        send.send(true).unwrap();
        let error = unless_told(&mut stop, "planning", for_ever()).await.unwrap_err();
        assert_eq!((error.reason(), error.exit_code()), ("Stopped", 75));
        // That signal is used up: the next step needs one of its own.
        unless_told(&mut stop, "archiving", async { Ok(()) }).await.unwrap();
        send.send(true).unwrap();
        assert!(unless_told(&mut stop, "archiving", for_ever()).await.is_err());
    }

    #[tokio::test]
    async fn a_step_that_sees_to_the_first_signal_is_given_up_at_the_second() {
        let (send, stop) = watch::channel(false);
        send.send(true).unwrap();
        unless_told_again(&stop, "scoring", async { Ok(()) }).await.unwrap();
        let (given_up, sent) = tokio::join!(unless_told_again(&stop, "scoring", for_ever()), async { send.send(true) });
        sent.unwrap();
        assert_eq!(given_up.unwrap_err().reason(), "Stopped");
    }

    #[tokio::test]
    async fn a_step_ends_by_itself_where_nobody_can_tell() {
        let (send, mut stop) = watch::channel(false);
        drop(send);
        unless_told(&mut stop, "planning", async { Ok(()) }).await.unwrap();
    }
}
