//! Answers of providers, and the verdict of each.

use byokd::contract::v1::Verdict;
use serde_json::json;

use crate::support::{Reply, openai_key};

/// The provider's answers to the list and to the generation; `None`: a success.
pub(in crate::rpc) type Script = (Option<Reply>, Option<Reply>);

pub(super) fn lists(reply: Reply) -> Script {
    (Some(reply), None)
}

fn generates(reply: Reply) -> Script {
    (None, Some(reply))
}

pub(in crate::rpc) fn openai() -> Vec<(&'static str, Script, Verdict)> {
    use Verdict::*;
    let says = Reply::openai_error;
    vec![
        ("all well", (None, None), Valid),
        (
            "no list",
            lists(Reply::openai_missing_scope("api.model.read")),
            ValidListHidden,
        ),
        (
            "no list here",
            lists(Reply::text(404, "404 page not found")),
            ValidListHidden,
        ),
        ("no credit", generates(Reply::openai_no_funds()), NoFunds),
        (
            "old quota",
            generates(says(429, Some("insufficient_quota"), "")),
            NoFunds,
        ),
        ("busy", lists(Reply::openai_rate_limited(7)), RateLimited),
        (
            "busy later",
            generates(Reply::openai_rate_limited(7)),
            RateLimited,
        ),
        (
            "no model",
            generates(Reply::openai_model_not_found()),
            ModelUnavailable,
        ),
        (
            "the cap is too small",
            generates(says(400, None, "integer below minimum value")),
            Valid,
        ),
        (
            "wrong key",
            lists(Reply::openai_wrong_key(&openai_key(2))),
            Invalid,
        ),
        (
            "wrong key later",
            generates(Reply::openai_wrong_key(&openai_key(2))),
            Invalid,
        ),
        (
            "no scope",
            generates(Reply::openai_missing_scope("model.request")),
            InsufficientScope,
        ),
        (
            "organisation",
            lists(says(401, Some("mismatched_organization"), "")),
            OrgProblem,
        ),
        (
            "address",
            lists(says(401, None, "IP not authorized")),
            NetworkPolicy,
        ),
        (
            "region",
            lists(says(403, Some("unsupported_country_region_territory"), "")),
            NetworkPolicy,
        ),
        ("down", lists(Reply::text(500, "")), ProviderDown),
        (
            "overloaded",
            generates(says(503, Some("slow_down"), "")),
            ProviderDown,
        ),
        ("cut off", lists(Reply::cut(200)), Unreachable),
        ("cut off later", generates(Reply::cut(200)), Unreachable),
        (
            "a 401 of no known kind",
            lists(says(401, Some("brand_new"), "No.")),
            Unexpected,
        ),
        ("a web page", lists(Reply::html(200)), Unexpected),
        ("a web page later", generates(Reply::html(200)), Unexpected),
    ]
}

pub(super) fn anthropic() -> Vec<(&'static str, Script, Verdict)> {
    use Verdict::*;
    let says = Reply::anthropic_error;
    let bad_request = |text| says(400, "invalid_request_error", text);
    let spent = json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "Limit reached.",
        "details": { "error_code": "enforced_spend_limit_reached" } } });
    vec![
        ("all well", (None, None), Valid),
        (
            "no list",
            lists(says(403, "permission_error", "no")),
            ValidListHidden,
        ),
        (
            "no credit",
            generates(bad_request("Your credit balance is too low")),
            NoFunds,
        ),
        (
            "own limit",
            generates(bad_request(
                "You have reached your specified API usage limits",
            )),
            NoFunds,
        ),
        (
            "billing",
            generates(says(402, "billing_error", "pay")),
            NoFunds,
        ),
        ("spent", generates(Reply::json(429, &spent)), NoFunds),
        (
            "busy",
            generates(says(429, "rate_limit_error", "slow").header("retry-after", "3")),
            RateLimited,
        ),
        (
            "no model",
            generates(says(404, "not_found_error", "model: x")),
            ModelUnavailable,
        ),
        (
            "wrong key",
            lists(says(401, "authentication_error", "invalid x-api-key")),
            Invalid,
        ),
        (
            "no scope",
            generates(says(403, "permission_error", "authentication")),
            InsufficientScope,
        ),
        (
            "disabled",
            generates(bad_request("This organization has been disabled.")),
            OrgProblem,
        ),
        (
            "edge",
            lists(says(403, "forbidden", "Request not allowed")),
            NetworkPolicy,
        ),
        (
            "overloaded",
            generates(says(529, "overloaded_error", "Overloaded")),
            ProviderDown,
        ),
        (
            "too large",
            generates(Reply::text(413, "<html>")),
            Unexpected,
        ),
    ]
}
