use super::*;

fn grant(text: &str) -> Grant {
    let mut parts = text.split(':');
    Grant {
        role: parts.next().unwrap().parse().unwrap(),
        namespaces: parts.map(|name| name.parse().unwrap()).collect(),
    }
}

/// `list games.gamekeeper.dev/scale@default`, or `get /metrics`.
fn asked(text: &str) -> Asked<'_> {
    let (verb, what) = text.split_once(' ').unwrap();
    if what.starts_with('/') {
        return Asked { verb, what: What::Path(what.into()) };
    }
    let (what, namespace) =
        what.split_once('@').map_or((what, None), |(what, name)| (what, Some(name.into())));
    let (kind, subresource) = what.split_once('/').unwrap_or((what, ""));
    let (resource, group) = kind.split_once('.').unwrap_or((kind, ""));
    let (group, resource) = (group.into(), resource.into());
    let object = Object { group, resource, subresource: subresource.into(), namespace, name: "".into() };
    Asked { verb, what: What::Object(object) }
}

/// Everything that can be asked, with who may: `v`iewer, `l`obby, `o`perator, `a`dmin everywhere; and
/// `V`, `L`, `O`, `A` those who are held to the namespace `s7`.
const TABLE: &[(&str, &str)] = &[
    ("get /version", "vloaVLOA"),
    ("get /apis/gamekeeper.dev/v1", "vloaVLOA"),
    ("get /openapi/v3", "vloaVLOA"),
    ("get /metrics", "vloa"),
    ("update /version", "oa"),
    // Games.
    ("get games.gamekeeper.dev@s7", "vloaVLOA"),
    ("list games.gamekeeper.dev@s7", "vloaVLOA"),
    ("watch games.gamekeeper.dev@s7", "vloaVLOA"),
    ("get games.gamekeeper.dev@other", "vloa"),
    ("list games.gamekeeper.dev@other", "vloa"),
    ("list games.gamekeeper.dev", "vloa"),
    ("watch games.gamekeeper.dev", "vloa"),
    ("create games.gamekeeper.dev@s7", "loaLOA"),
    ("delete games.gamekeeper.dev@s7", "loaLOA"),
    ("deletecollection games.gamekeeper.dev@s7", "loaLOA"),
    ("patch games.gamekeeper.dev/scale@s7", "loaLOA"),
    ("create games.gamekeeper.dev@other", "loa"),
    ("create games.gamekeeper.dev/plan@s7", "vloaVLOA"),
    ("create games.gamekeeper.dev/plan@other", "vloa"),
    ("update games.gamekeeper.dev/plan@s7", "loaLOA"),
    ("get games.gamekeeper.dev/explain@s7", "vloaVLOA"),
    ("create games@s7", "oaOA"),
    // What happened.
    ("list operations.gamekeeper.dev@s7", "vloaVLOA"),
    ("list operations.gamekeeper.dev", "vloa"),
    ("get playermappings.gamekeeper.dev", "vloa"),
    ("create outbox.gamekeeper.dev@s7", "oaOA"),
    ("create outbox.gamekeeper.dev@other", "oa"),
    ("list events@s7", "vloaVLOA"),
    ("list events.events.k8s.io@s7", "vloaVLOA"),
    ("list events", "vloa"),
    ("create events@s7", "oaOA"),
    // What is in no namespace.
    ("list engineversions.gamekeeper.dev", "vloaVLOA"),
    ("watch engineversions.gamekeeper.dev", "vloaVLOA"),
    ("create engineversions.gamekeeper.dev", "oa"),
    ("delete engineversions.gamekeeper.dev", "oa"),
    ("get controllers.gamekeeper.dev", "vloa"),
    ("patch controllers.gamekeeper.dev", "oa"),
    ("create controllers.gamekeeper.dev/remove", "oa"),
    ("list customresourcedefinitions.apiextensions.k8s.io", "vloaVLOA"),
    ("create customresourcedefinitions.apiextensions.k8s.io", "oa"),
    ("list namespaces", "vloa"),
    ("get namespaces@s7", "vloaVLOA"),
    ("get namespaces@other", "vloa"),
    ("list nodes", "vloa"),
    // Views.
    ("get pods@s7", "vloaVLOA"),
    ("get pods/log@s7", "vloaVLOA"),
    ("get pods/log@other", "vloa"),
    ("create pods/exec@s7", "oaOA"),
    ("get pods/exec@s7", "oaOA"),
    ("get pods/attach@s7", "oaOA"),
    ("create pods/portforward@s7", "oaOA"),
    ("create pods/exec@other", "oa"),
    ("delete pods@s7", "oaOA"),
    ("get deployments.apps@s7", "vloaVLOA"),
    ("patch deployments.apps@s7", "oaOA"),
    ("patch deployments.apps/scale@s7", "oaOA"),
    ("patch deployments.apps@other", "oa"),
    // Who may ask.
    ("list accesstokens.gamekeeper.dev", "a"),
    ("get accesstokens.gamekeeper.dev", "a"),
    ("create accesstokens.gamekeeper.dev", "a"),
    ("delete accesstokens.gamekeeper.dev", "a"),
    ("list *.gamekeeper.dev", "a"),
    ("* *.*", "a"),
    ("create selfsubjectaccessreviews.authorization.k8s.io", "vloaVLOA"),
    ("create selfsubjectrulesreviews.authorization.k8s.io", "vloaVLOA"),
    ("create selfsubjectreviews.authentication.k8s.io", "vloaVLOA"),
    ("delete selfsubjectreviews.authentication.k8s.io", "oa"),
    // What nobody thought of.
    ("get secrets@s7", "vloaVLOA"),
    ("create secrets@s7", "oaOA"),
    // Somebody else's name.
    ("impersonate users", "a"),
    ("impersonate groups", "a"),
    ("* users", "a"),
    ("* *", "a"),
    ("impersonate games.gamekeeper.dev@s7", "aA"),
    ("bind games.gamekeeper.dev@s7", "loaLOA"),
];

#[test]
fn every_role_may_what_the_table_says_and_nothing_else() {
    let callers = [
        ('v', "viewer"),
        ('l', "lobby"),
        ('o', "operator"),
        ('a', "admin"),
        ('V', "viewer:s7"),
        ('L', "lobby:s7"),
        ('O', "operator:s7"),
        ('A', "admin:s7:s8"),
    ];
    for (request, who) in TABLE {
        for (letter, granted) in callers {
            let decided = decide(&[grant(granted)], &asked(request));
            assert_eq!(decided.is_ok(), who.contains(letter), "{granted}: {request}: {decided:?}");
        }
        assert!(decide(&[], &asked(request)).is_err(), "nobody: {request}");
    }
}

#[test]
fn grants_add_up_and_do_not_spill_over() {
    let grants = [grant("viewer"), grant("operator:s7"), grant("lobby:s8")];
    let may = |request| decide(&grants, &asked(request)).is_ok();
    assert!(may("list games.gamekeeper.dev") && may("get controllers.gamekeeper.dev"));
    assert!(may("create pods/exec@s7") && !may("create pods/exec@s8") && !may("create pods/exec@s9"));
    assert!(may("delete games.gamekeeper.dev@s8") && !may("delete games.gamekeeper.dev@s9"));
    assert!(!may("create engineversions.gamekeeper.dev"));
}

#[test]
fn a_refusal_says_who_what_and_what_to_do() {
    let told = |granted: &str, request: &str| {
        let asked = asked(request);
        decide(&[grant(granted)], &asked).unwrap_err().told("ci", "token", &asked)
    };
    assert_eq!(
        told("operator:s7:s8", "delete games.gamekeeper.dev@other"),
        "ci may not delete games.gamekeeper.dev in namespace \"other\": this token is good for the \
         namespaces s7, s8 alone; ask there (-n)"
    );
    assert_eq!(
        told("viewer:s7", "patch games.gamekeeper.dev/scale@s7"),
        "ci may not patch games.gamekeeper.dev/scale in namespace \"s7\": this token only reads; use the \
         token of an operator"
    );
    assert!(told("operator", "list accesstokens.gamekeeper.dev").ends_with("it needs an admin's"));
    assert!(told("lobby", "patch deployments.apps@s7").contains("changes games and nothing else"));
    let hostile = format!("list {}@\u{1b}[31m", "x".repeat(9_000));
    let told = told("viewer:s7", &hostile);
    assert!(told.len() < 500 && !told.contains('\u{1b}'), "{told}");
}
