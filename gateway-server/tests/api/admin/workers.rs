//! `/admin/workers`

use gateway_core::orchestrator::Probe;
use gateway_core::worker::LinkError;
use serde_json::{Value, json};

use crate::app::{Login, TestRequest, text};
use crate::scene::{Scene, WORKER, registration};

const PATH: &str = "/api/v1/admin/workers";

struct Office {
    scene: Scene,
    admin: Login,
}

impl Office {
    async fn open() -> Self {
        let scene = Scene::set().await;
        let admin = scene.app.register_admin("boss").await;
        Self { scene, admin }
    }

    fn get(&self, tail: &str) -> TestRequest<'_> {
        self.scene
            .app
            .get(&format!("{PATH}{tail}"))
            .bearer(&self.admin.access)
    }

    fn post(&self, tail: &str) -> TestRequest<'_> {
        self.scene
            .app
            .post(&format!("{PATH}{tail}"))
            .bearer(&self.admin.access)
    }

    fn patch(&self, tail: &str, body: &Value) -> TestRequest<'_> {
        let request = self.scene.app.patch(&format!("{PATH}{tail}"));
        request.bearer(&self.admin.access).json(body)
    }

    fn delete(&self, tail: &str) -> TestRequest<'_> {
        self.scene
            .app
            .delete(&format!("{PATH}{tail}"))
            .bearer(&self.admin.access)
    }

    async fn reserve(&self, id: &str) -> String {
        let body = json!({"workerId": id, "maxSessions": 5, "labels": {"region": "us"}});
        let made = self.post("").json(&body).expect(201).await;
        assert_eq!(made.data()["status"], "PENDING");
        text(&made.data()["joinToken"])
    }
}

fn ids(data: &Value) -> Vec<String> {
    let workers = data.as_array().expect("a list").iter();
    workers.map(|worker| text(&worker["id"])).collect()
}

#[tokio::test]
async fn a_reserved_id_takes_only_its_one_time_token() {
    let office = Office::open().await;
    let token = office.reserve("Reserved_1").await;
    let body = registration("reserved-1", "incarnation-5");
    office
        .scene
        .register(&body)
        .expect(401)
        .await
        .is("unauthorized");
    let join = |token: &str| {
        let request = office.scene.app.post("/api/v1/workers/register");
        request.bearer(token).json(&body)
    };
    join("gwj_wrong").expect(401).await;
    join(&token).expect(200).await;
    let worker = office.get("/reserved-1").expect(200).await;
    assert_eq!(worker.data()["status"], "ACTIVE");
    assert_eq!(
        worker.data()["labels"],
        json!({"region": "us"}),
        "the operator's labels win"
    );
    assert_eq!(worker.data()["reportedLabels"], json!({"region": "eu"}));
    assert!(!worker.text.contains(&token), "the token is shown once");
    let again = registration("reserved-1", "incarnation-6");
    let request = office
        .scene
        .app
        .post("/api/v1/workers/register")
        .bearer(&token);
    request.json(&again).expect(401).await;
}

#[tokio::test]
async fn the_list_is_filtered_and_paged() {
    let office = Office::open().await;
    office.reserve("reserved-1").await;
    for (query, expected) in [
        ("", vec!["reserved-1", WORKER]),
        ("?status=PENDING", vec!["reserved-1"]),
        ("?status=ACTIVE&environment=test", vec![WORKER]),
        ("?environment=prod", vec![]),
        ("?version=1.2.3", vec![WORKER]),
        ("?label=region:eu", vec![WORKER]),
        ("?label=region:us", vec!["reserved-1"]),
        ("?label=colour:red", vec![]),
    ] {
        let answer = office.get(query).expect(200).await;
        assert_eq!(ids(answer.data()), expected, "{query}");
    }
    let first = office.get("?limit=1").expect(200).await;
    assert_eq!(ids(first.data()), ["reserved-1"]);
    let cursor = text(&first.body["pagination"]["nextCursor"]);
    let rest = office
        .get(&format!("?limit=1&cursor={cursor}"))
        .expect(200)
        .await;
    assert_eq!(ids(rest.data()), [WORKER]);
    for (query, field) in [
        ("?status=BUSY", "status"),
        ("?label=x", "label"),
        ("?limit=x", "limit"),
    ] {
        assert_eq!(
            office.get(query).expect(400).await.fields(),
            [field],
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_worker_shows_what_it_last_said() {
    let office = Office::open().await;
    let worker = office.get(&format!("/{WORKER}")).expect(200).await;
    assert!(worker.data()["report"].is_null() && worker.data()["lastHeartbeatAt"].is_null());
    let beat = office
        .scene
        .app
        .put(&format!("/api/v1/workers/{WORKER}/heartbeat"));
    let body =
        json!({"cpuUsage": 50, "memoryUsage": 0.25, "sessions": {"total": 3, "connected": 2}});
    office.scene.as_worker(beat).json(&body).expect(200).await;
    let worker = office.get("/Worker_1").expect(200).await;
    let report = &worker.data()["report"];
    assert_eq!(
        (&report["cpuUsage"], &report["memoryUsage"]),
        (&json!(0.5), &json!(0.25))
    );
    assert_eq!(report["sessions"]["connected"], 2);
    assert!(worker.data()["lastHeartbeatAt"].is_string());
    office.get("/nobody").expect(404).await;
    office.get("/___").expect(404).await;
}

#[tokio::test]
async fn a_cordoned_worker_gets_nothing_new() {
    let office = Office::open().await;
    let changed = office
        .patch(&format!("/{WORKER}"), &json!({"cordoned": true}))
        .expect(200)
        .await;
    assert_eq!(changed.data()["cordoned"], true);
    assert_eq!(changed.data()["maxSessions"], 10, "the rest stays");
    let id = office.scene.starting("sales").await;
    assert_eq!(office.scene.status(&id).await["reason"], "no_capacity");
    office
        .patch(&format!("/{WORKER}"), &json!({"cordoned": false}))
        .expect(200)
        .await;
    let tick = office
        .scene
        .app
        .app
        .orchestrator
        .tick()
        .await
        .expect("a tick");
    office.scene.app.app.effects.carry_out(tick.effects);
    office.scene.settle().await;
    assert_eq!(office.scene.app.link.starts().len(), 1);
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let office = Office::open().await;
    for (body, field) in [
        (json!({}), "workerId"),
        (json!({"workerId": ""}), "workerId"),
        (json!({"workerId": "x".repeat(51)}), "workerId"),
        (json!({"workerId": "w", "maxSessions": 0}), "maxSessions"),
        (json!({"workerId": "w", "maxSessions": 1001}), "maxSessions"),
        (json!({"workerId": "w", "labels": {"a:b": "c"}}), "labels"),
        (json!({"workerId": "w", "labels": {"a": 1}}), "labels.a"),
    ] {
        let answer = office.post("").json(&body).expect(400).await;
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
    let known = json!({"workerId": WORKER});
    assert_eq!(
        office
            .post("")
            .json(&known)
            .expect(409)
            .await
            .is("duplicate")
            .fields(),
        ["workerId"]
    );
    for (body, field) in [
        (json!({"maxSessions": 0}), "maxSessions"),
        (json!({"cordoned": "yes"}), "cordoned"),
        (json!({"labels": {"": "x"}}), "labels"),
    ] {
        let answer = office.patch(&format!("/{WORKER}"), &body).expect(400).await;
        assert_eq!(answer.fields(), [field], "{}", answer.text);
    }
    office.patch("/nobody", &json!({})).expect(404).await;
}

#[tokio::test]
async fn only_an_empty_worker_is_removed_and_its_id_then_refused() {
    let office = Office::open().await;
    let id = office.scene.connected("sales").await;
    let path = format!("/{WORKER}");
    let refused = office
        .delete(&path)
        .expect(409)
        .await
        .is("invalid_transition");
    assert_eq!(refused.body["assigned"], 1);
    office.scene.act(&id, "disconnect").expect(202).await;
    office.scene.settle().await;
    office.delete(&path).expect(200).await;
    office.delete(&path).expect(404).await;
    office.get(&path).expect(404).await;
    let beat = office
        .scene
        .app
        .put(&format!("/api/v1/workers/{WORKER}/heartbeat"));
    office
        .scene
        .as_worker(beat)
        .json(&json!({}))
        .expect(401)
        .await;
    let body = registration(WORKER, "incarnation-8");
    office
        .scene
        .register(&body)
        .expect(403)
        .await
        .is("forbidden");
    let token = office.reserve(WORKER).await;
    let request = office
        .scene
        .app
        .post("/api/v1/workers/register")
        .bearer(&token);
    request.json(&body).expect(200).await;
}

#[tokio::test]
async fn statistics_add_up() {
    let office = Office::open().await;
    office.reserve("reserved-1").await;
    office.scene.connected("sales").await;
    let numbers = office.get("/statistics").expect(200).await;
    let data = numbers.data();
    assert_eq!(data["total"], 2);
    let by_status = json!({"PENDING": 1, "ACTIVE": 1, "SUSPECT": 0, "DRAINING": 0, "OFFLINE": 0});
    assert_eq!(data["byStatus"], by_status);
    let capacity = json!({"maxSessions": 10, "assignedSessions": 1, "free": 9});
    assert_eq!(data["capacity"], capacity);
    assert_eq!(data["byEnvironment"], json!({"test": 1, "unknown": 1}));
}

#[tokio::test]
async fn a_health_check_asks_the_worker_itself() {
    let office = Office::open().await;
    office.reserve("reserved-1").await;
    let all = office.post("/health-check").expect(200).await;
    assert_eq!(
        all.data()["summary"],
        json!({"checked": 1, "healthy": 1, "unhealthy": 0})
    );
    let one = office
        .post(&format!("/{WORKER}/health-check"))
        .expect(200)
        .await;
    assert_eq!(
        (&one.data()["healthy"], &one.data()["status"]),
        (&json!(true), &json!("ok"))
    );
    let reserved = office.post("/reserved-1/health-check").expect(200).await;
    assert_eq!(reserved.data()["healthy"], false);
    for error in [LinkError::NotSent, LinkError::Unknown, LinkError::Rubbish] {
        office.scene.app.link.fail_health(error.clone());
        let one = office
            .post(&format!("/{WORKER}/health-check"))
            .expect(200)
            .await;
        assert_eq!(text(&one.data()["error"]), error.to_string());
    }
    office.post("/nobody/health-check").expect(404).await;
    let worker = office.get(&format!("/{WORKER}")).expect(200).await;
    assert_eq!(
        worker.data()["status"],
        "ACTIVE",
        "a health check says nothing of the lease"
    );
}

#[tokio::test]
async fn a_late_worker_that_fails_its_probe_is_suspect_until_its_next_heartbeat() {
    let office = Office::open().await;
    let app = &office.scene.app;
    app.link.fail_health(LinkError::Unknown);
    app.advance(4);
    let orchestrator = &app.app.orchestrator;
    for owner in orchestrator.review_vitals() {
        let probe = orchestrator.probe(&owner).await;
        assert_eq!(probe.ok(), Some(Probe::Failed { suspected: true }));
    }
    let path = format!("/{WORKER}");
    let worker = office.get(&path).expect(200).await;
    assert_eq!(worker.data()["status"], "SUSPECT");

    let beat = app.put(&format!("/api/v1/workers/{WORKER}/heartbeat"));
    let beat = office.scene.as_worker(beat).json(&json!({}));
    beat.expect(200).await;
    let worker = office.get(&path).expect(200).await;
    assert_eq!(worker.data()["status"], "ACTIVE");
}

#[tokio::test]
async fn tenants_are_not_let_in() {
    let office = Office::open().await;
    for tail in ["", "/statistics", "/worker-1"] {
        let request = office.scene.get(&format!("{PATH}{tail}"));
        request.expect(403).await.is("forbidden");
    }
}

#[tokio::test]
async fn a_worker_that_cannot_store_state_is_seen_in_list_and_metrics() {
    let office = Office::open().await;
    let beat = async |persists: bool| {
        let path = format!("/api/v1/workers/{WORKER}/heartbeat");
        let request = office.scene.as_worker(office.scene.app.put(&path));
        request
            .json(&json!({ "persistOk": persists }))
            .expect(200)
            .await;
        let worker = office.get(&format!("/{WORKER}")).expect(200).await;
        let metrics = office.scene.app.get("/metrics").expect(200).await.text;
        let line = "gateway_workers_excluded{reason=\"state_not_stored\"} ";
        let count = metrics.lines().find_map(|known| known.strip_prefix(line));
        let count = count.expect("the metric").to_owned();
        (worker.data()["excluded"].clone(), count)
    };
    assert_eq!(beat(true).await, (Value::Null, "0".to_owned()));
    let excluded = (json!("state_not_stored"), "1".to_owned());
    assert_eq!(beat(false).await, excluded);
    assert_eq!(beat(true).await, (Value::Null, "0".to_owned()));
}
