use std::ffi::OsString;
use std::path::Path;

use super::*;
use proptest::prelude::*;

fn kafka(url: &str) -> KafkaEndpoint {
    let Endpoint::Kafka(kafka) = Endpoint::parse(url).expect(url) else { panic!("{url} is not Kafka's") };
    kafka
}

fn amqp(url: &str) -> AmqpEndpoint {
    let Endpoint::Amqp(amqp) = Endpoint::parse(url).expect(url) else { panic!("{url} is not RabbitMQ's") };
    amqp
}

#[test]
fn the_usual_forms() {
    assert_eq!(kafka("kafka://h").addresses(), "h:9092");
    assert_eq!(kafka("kafka://h1:1,h2/").addresses(), "h1:1,h2:9092");
    assert_eq!(kafka("kafka://[::1]:19092,[fe80::2]").addresses(), "[::1]:19092,[fe80::2]:9092");
    let secure = kafka("kafkas://me:p%40ss%3Aword@h:9093");
    assert!(secure.tls);
    assert_eq!(secure.user.as_deref(), Some("me"));
    assert_eq!(secure.password.as_ref().map(Secret::reveal), Some("p@ss:word"));
}

#[test]
fn the_usual_forms_of_rabbitmq() {
    let plain = amqp("amqp://h");
    assert_eq!((plain.address.to_string(), plain.tls, plain.user, plain.vhost), ("h:5672".to_owned(), false, None, None));
    assert_eq!(amqp("amqps://[::1]/").address.to_string(), "[::1]:5671");
    assert_eq!(amqp("amqp://h/").vhost, None);
    assert_eq!(amqp("amqp://h:1/%2f").vhost.as_deref(), Some("/"));
    assert_eq!(amqp("amqp://h/a%20b").vhost.as_deref(), Some("a b"));
    let secure = amqp("amqps://me:p%40ss%2Fword@h:1/orders");
    assert_eq!(secure.password.as_ref().map(Secret::reveal), Some("p@ss/word"));
    assert_eq!((secure.user.as_deref(), secure.vhost.as_deref(), secure.address.port), (Some("me"), Some("orders"), 1));
}

#[test]
fn errors_name_the_url_and_the_place_and_no_password() {
    for (url, words) in [
        ("h:9092", "no \"://\""),
        ("http://h", "scheme \"http\""),
        ("kafka://", "a host is empty"),
        ("kafka://h1,,h2", "a host is empty"),
        ("kafka://h:0", "port \"0\" of host \"h\""),
        ("kafka://h:99999", "port \"99999\""),
        ("kafka://h/vhost", "\"/vhost\""),
        ("kafka://@h", "no user"),
        ("kafka://u:%zz@h", "percent-encoding"),
        ("kafka://[::1:9", "no ']'"),
        ("kafka://[nonsense]", "not an IPv6"),
        ("amqp://h1,h2", "one host only"),
        ("amqp://u:hunter2@h/v?heartbeat=1", "-X key=value"),
        ("amqp://u:hunter2/@h/v", "%2F"),
        ("amqp://u:%zz@h", "percent-encoding"),
        ("amqp://u:hunter2@h/%zz", "the virtual host's percent-encoding"),
        ("amqp://h//", "%2F"),
        ("amqp://@h", "no user"),
        ("amqp:///v", "a host is empty"),
        ("amqp://u:hunter2@h:port", "port \"port\""),
    ] {
        let error = Endpoint::parse(url).expect_err(url).to_string();
        assert!(error.contains(words), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_password_comes_from_the_environment_or_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("password");
    std::fs::write(&file, "from file\n").expect("write");
    for (scheme, value_name, file_name) in
        [("kafka", "DEJAQ_KAFKA_PASSWORD", "DEJAQ_KAFKA_PASSWORD_FILE"), ("amqp", "DEJAQ_AMQP_PASSWORD", "DEJAQ_AMQP_PASSWORD_FILE")]
    {
        let filled = |rest: &str, variable: Option<&str>, path: Option<&Path>| {
            let mut endpoint = Endpoint::parse(&format!("{scheme}://{rest}")).expect(rest);
            let environment = |name: &str| match name {
                _ if name == value_name => variable.map(OsString::from),
                _ if name == file_name => path.map(|p| p.as_os_str().to_owned()),
                _ => None,
            };
            endpoint.fill_secrets(&environment).map(|()| {
                let (Endpoint::Kafka(KafkaEndpoint { password, .. }) | Endpoint::Amqp(AmqpEndpoint { password, .. })) = endpoint;
                password.map(|p| p.reveal().to_owned())
            })
        };
        assert_eq!(filled("u@h", Some("env"), None), Ok(Some("env".to_owned())));
        assert_eq!(filled("u@h", None, Some(&file)), Ok(Some("from file".to_owned())));
        assert_eq!(filled("u:url@h", Some("env"), None), Ok(Some("url".to_owned())));
        assert_eq!(filled("h", Some("env"), None), Ok(None));
        assert!(filled("u@h", None, None).is_err_and(|e| e.contains(value_name) && e.contains(file_name)));
        assert!(filled("u@h", Some("env"), Some(&file)).is_err());
        assert!(filled("u@h", None, Some(Path::new("/nonexistent/password"))).is_err());
    }
}

#[test]
fn where_a_token_is_comes_from_the_environment_for_a_url_without_a_user() {
    let filled = |url: &str, token: Option<&str>, path: Option<&str>| {
        let mut endpoint = Endpoint::parse(url).expect(url);
        let environment = |name: &str| match name {
            TOKEN_VARIABLE => token.map(OsString::from),
            TOKEN_FILE_VARIABLE => path.map(OsString::from),
            _ => None,
        };
        endpoint.fill_secrets(&environment).map(|()| {
            let Endpoint::Kafka(kafka) = endpoint else { panic!("{url} is not Kafka's") };
            kafka.token
        })
    };
    assert_eq!(filled("kafkas://h", None, Some("/run/token")), Ok(Some(TokenPlace::File("/run/token".into()))));
    let given = filled("kafkas://h", Some("hunter2"), None).expect("given").expect("a token");
    assert_eq!(given, TokenPlace::Given(Secret::new("hunter2".to_owned())));
    assert!(!format!("{given} {given:?}").contains("hunter2"));
    assert_eq!(filled("kafkas://h", None, None), Ok(None));
    assert_eq!(filled("kafkas://u:p@h", Some("hunter2"), None), Ok(None), "the user signs in by a password");
    assert!(filled("kafkas://h", Some("hunter2"), Some("/run/token")).is_err_and(|e| !e.contains("hunter2")));
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_and_hides_the_password(
        tls in any::<bool>(),
        user in prop::option::of("[^\0]{1,12}"),
        password in prop::option::of("hunter2[^\0]{0,12}"),
        hosts in prop::collection::vec(("[a-z][a-z0-9.-]{0,12}", 1u16..), 1..4),
    ) {
        let addresses: Vec<_> = hosts.iter().map(|(host, port)| Address { host: host.clone(), port: *port }).collect();
        let userinfo = user.as_ref().map_or(String::new(), |user| match &password {
            Some(password) => format!("{}:{}@", percent_encode(user), percent_encode(password)),
            None => format!("{}@", percent_encode(user)),
        });
        let list = addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",");
        let url = format!("{}://{userinfo}{list}", if tls { "kafkas" } else { "kafka" });
        let endpoint = Endpoint::parse(&url).expect("own form");
        let password = user.as_ref().and(password).map(Secret::new);
        prop_assert_eq!(&endpoint, &Endpoint::Kafka(KafkaEndpoint { addresses, tls, user, password, token: None }));
        let shown = format!("{endpoint} {endpoint:?} {}", redact(&url));
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
    }

    #[test]
    fn what_is_shown_of_rabbitmq_reads_back_and_hides_the_password(
        tls in any::<bool>(),
        user in prop::option::of("[^\0]{1,12}"),
        password in prop::option::of("hunter2[^\0]{0,12}"),
        host in "[a-z][a-z0-9.-]{0,12}",
        port in 1u16..,
        vhost in prop::option::of("[^\0]{1,12}"),
    ) {
        let password = user.as_ref().and(password);
        let mut url = format!("{}://", if tls { "amqps" } else { "amqp" });
        if let Some(user) = &user {
            url += &percent_encode(user);
            url += &password.as_ref().map_or(String::new(), |password| format!(":{}", percent_encode(password)));
            url.push('@');
        }
        url += &format!("{host}:{port}/{}", percent_encode(vhost.as_deref().unwrap_or("")));
        let endpoint = Endpoint::parse(&url).expect("own form");
        let expected = AmqpEndpoint { address: Address { host, port }, tls, user, password: password.map(Secret::new), vhost };
        prop_assert_eq!(&endpoint, &Endpoint::Amqp(expected));
        let shown = endpoint.to_string();
        let redacted = redact(&url);
        prop_assert_eq!(shown.as_str(), redacted.strip_suffix('/').unwrap_or(&redacted));
        prop_assert!(!format!("{shown} {endpoint:?}").contains("hunter2"), "{}", shown);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,40}", host in "[\\PC]{0,20}") {
        let _ = Endpoint::parse(&text);
        let _ = Endpoint::parse(&format!("kafka://{host}"));
        let _ = Endpoint::parse(&format!("amqp://{host}"));
    }
}
