//! Breaker, rate limit, names that stand for nothing, and regions.

use super::*;

/// After three outages the KMS is left in peace for five seconds, then tried by one call.
#[tokio::test]
async fn a_kms_that_does_not_answer_is_left_in_peace() {
    let fake = FakeKms::start().await;
    fake.add_key("alias/byokd");
    let clock = clock();
    let kms = AwsKms::open(settings(&fake, "alias/byokd", &[]), clock.clone())
        .await
        .unwrap();
    fake.fail(Some(Failure::Answer(400, "KeyUnavailableException")));
    let calls = async |times: usize| {
        fake.forget_calls();
        for _ in 0..times {
            assert_eq!(
                kms.generate(context(1)).await.unwrap_err().fault(),
                KmsFault::Outage
            );
        }
        fake.calls().len()
    };
    let in_three = calls(3).await;
    assert!(in_three >= 3);
    assert_eq!(calls(10).await, 0);
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(calls(10).await, 0);
    clock.advance(Duration::from_millis(1));
    let probes = calls(10).await;
    assert!(
        (1..=2).contains(&probes),
        "one call, tried twice at the most: {probes}"
    );
    clock.advance(Duration::from_secs(5));
    // A probe whose caller is gone is no answer: the next one may try.
    fake.fail(Some(Failure::Hang));
    let gone = tokio::time::timeout(Duration::from_millis(50), kms.generate(context(1))).await;
    assert!(gone.is_err());
    fake.fail(None);
    kms.generate(context(1)).await.unwrap();
    kms.generate(context(1)).await.unwrap();
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_for_a_bounded_time() {
    let fake = FakeKms::start().await;
    fake.add_key("alias/byokd");
    let slow = AwsSettings {
        calls_per_second: NonZeroU32::MIN,
        ..settings(&fake, "alias/byokd", &[])
    };
    let kms = AwsKms::open(slow, clock()).await.unwrap();
    let (a, b, c) = tokio::join!(
        kms.generate(context(1)),
        kms.generate(context(2)),
        kms.generate(context(3))
    );
    let refused: Vec<_> = [a, b, c].into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty() && refused.len() < 3);
    for error in refused {
        assert!(
            error.to_string().contains("kms.calls_per_second"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_name_that_stands_for_nothing_keeps_no_other_from_being_looked_up() {
    let fake = FakeKms::start().await;
    let old = fake.add_key("alias/old");
    fake.add_key("alias/byokd");
    let gone = "01234567-89ab-cdef-0123-456789abcdef";
    let kms = open(&fake, "alias/byokd", &[gone, "alias/old"])
        .await
        .unwrap();
    assert_eq!(
        (kms.allows(&old), kms.is_looked_up()),
        (Allowed::Yes, false)
    );
    let LookedUp { current, previous } = kms.look_up().await;
    current.unwrap();
    assert_eq!(previous.unwrap_err().fault(), KmsFault::Denied);
}

/// The KMS of another region does not answer: that is no reason not to ask this one's, nor can it rewrap.
#[tokio::test]
async fn each_region_is_by_itself() {
    let fake = FakeKms::start().await;
    let arn = fake.add_key("alias/byokd");
    let far = arn.replace(REGION, "us-east-1");
    let kms = open(&fake, "alias/byokd", &[&far]).await.unwrap();
    assert_eq!(
        (
            kms.can_rewrap(&arn),
            kms.can_rewrap(&far),
            kms.can_rewrap("local:x")
        ),
        (true, false, false)
    );
    fake.fail(Some(Failure::Only("Decrypt", 500, "KMSInternalException")));
    let wrapped = Wrapped {
        blob: vec![1],
        kms_key_arn: far,
    };
    for _ in 0..5 {
        let error = kms.unwrap(&wrapped, context(1)).await.unwrap_err();
        assert_eq!(error.fault(), KmsFault::Outage);
    }
    kms.generate(context(1)).await.unwrap();
}

#[tokio::test]
async fn what_is_answered_under_another_key_is_refused() {
    let fake = FakeKms::start().await;
    let first = fake.add_key("alias/byokd");
    let kms = open(&fake, "alias/byokd", &[]).await.unwrap();
    let (_, wrapped) = kms.generate(context(1)).await.unwrap();
    let to = fake.add_key("alias/byokd");
    kms.look_up().await.all().unwrap();
    assert_eq!(wrapped.kms_key_arn, first);
    let other = fake.add_key(&to);
    let generated = kms.generate(context(1)).await.map(drop);
    for result in [generated, kms.rewrap(&wrapped, context(1)).await.map(drop)] {
        let error = result.unwrap_err();
        assert_eq!(error.fault(), KmsFault::Denied, "{error}");
        assert!(error.to_string().contains(&other), "{error}");
    }
}
