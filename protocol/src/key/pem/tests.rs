use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, RsaPublicKey};

#[test]
fn a_key_in_pem_is_what_tls_libraries_write_and_reads_back_in_every_spelling() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let key = RsaPublicKey::from_pkcs1_der(pair.public_key().as_ref()).unwrap();
    let info = pair.public_key().as_der().unwrap();
    let pem = key.to_pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(STANDARD.decode(base64).unwrap(), info.as_ref());
    assert!(pem.lines().all(|line| line.len() <= 64));
    let pkcs1 = STANDARD.encode(key.as_pkcs1_der());
    for text in [
        pem.clone(),
        pem.trim_end().replace('\n', "\r\n"),
        pem.replace('\n', " \n\t"),
        format!("-----BEGIN RSA PUBLIC KEY-----\n{pkcs1}\n-----END RSA PUBLIC KEY-----"),
    ] {
        assert_eq!(RsaPublicKey::from_pem(&text), Ok(key.clone()), "{text}");
    }
}

#[test]
fn pem_of_anything_else_is_no_key() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pem = RsaPublicKey::from_pkcs1_der(pair.public_key().as_ref())
        .unwrap()
        .to_pem();
    for text in [
        String::new(),
        pem.replace("PUBLIC", "PRIVATE"),
        pem.replace("BEGIN PUBLIC", "BEGIN RSA PUBLIC"),
        pem.replacen("MII", "MIJ", 1),
        pem.repeat(2),
        format!("{pem}x"),
        " ".repeat(3_000) + &pem,
    ] {
        assert_eq!(
            RsaPublicKey::from_pem(&text),
            Err(KeyError::NotRsa),
            "{text}"
        );
    }
}
