//! Keys and signatures against RFC 8032, Wycheproof and the edge cases of ed25519-speccheck.

use baraza_protocol::key::{PublicKey, SecretKey};

#[path = "support/vectors.rs"]
mod vectors;

/// The verdict of this crate: a key, signature or length that it refuses counts as no.
fn verifies(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = <&[u8; 32]>::try_from(key) else {
        return false;
    };
    let Ok(signature) = <&[u8; 64]>::try_from(signature) else {
        return false;
    };
    match PublicKey::from_bytes(key) {
        Ok(key) => {
            assert_eq!(PublicKey::parse(&key.to_string()), Ok(key));
            key.verifies(message, signature)
        }
        Err(_) => false,
    }
}

#[test]
fn keys_and_signatures_of_rfc_8032_section_7_1_are_reproduced() {
    let Some(folder) = vectors::folder("rfc8032") else {
        return;
    };
    let file = vectors::json(&folder.join("rfc8032-7.1-ed25519.json"));
    let cases = vectors::list(&file["vectors"]);
    for case in cases {
        let bytes = |name: &str| vectors::unhex(vectors::str(&case[name]));
        let secret = SecretKey::from_seed(&bytes("secret_key").try_into().unwrap());
        let (message, signature) = (bytes("message"), bytes("signature"));
        assert_eq!(
            secret.public().as_bytes(),
            &bytes("public_key")[..],
            "{}",
            case["name"]
        );
        assert_eq!(
            &secret.sign(&message)[..],
            &signature[..],
            "{}",
            case["name"]
        );
        assert!(
            verifies(&bytes("public_key"), &message, &signature),
            "{}",
            case["name"]
        );
    }
    assert_eq!(cases.len(), 4);
}

#[test]
fn s21_s24_exactly_the_valid_signatures_of_wycheproof_are_taken() {
    let Some(folder) = vectors::folder("wycheproof") else {
        return;
    };
    let file = vectors::large_json(&folder.join("ed25519_test.json"));
    let (mut taken, mut refused) = (0, 0);
    for group in vectors::list(&file["testGroups"]) {
        let key = vectors::unhex(vectors::str(&group["publicKey"]["pk"]));
        for case in vectors::list(&group["tests"]) {
            let bytes = |name: &str| vectors::unhex(vectors::str(&case[name]));
            let verdict = verifies(&key, &bytes("msg"), &bytes("sig"));
            assert_eq!(
                verdict,
                case["result"] == "valid",
                "{}: {}",
                case["tcId"],
                case["comment"]
            );
            if verdict { taken += 1 } else { refused += 1 }
        }
    }
    assert_eq!((taken, refused), (88, 63));
}

#[test]
fn s22_s23_the_verdicts_on_the_twelve_edge_cases_do_not_change() {
    let Some(folder) = vectors::folder("ed25519-speccheck") else {
        return;
    };
    let file = vectors::json(&folder.join("cases.json"));
    let verdicts: Vec<&str> = vectors::list(&file)
        .iter()
        .map(|case| {
            let bytes = |name: &str| vectors::unhex(vectors::str(&case[name]));
            let taken = verifies(&bytes("pub_key"), &bytes("message"), &bytes("signature"));
            if taken { "V" } else { "X" }
        })
        .collect();
    assert_eq!(verdicts.join(" "), "X X X V X X X X X X X X");
}
