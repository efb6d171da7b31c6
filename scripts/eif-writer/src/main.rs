//! Writes one enclave image with AWS's own crate, reads it back with that crate's reader, and prints as JSON what the two
//! say of it. Not a line of this is about the format: it only hands on arguments.
//!
//! eif-writer OUT ARCH KERNEL CMDLINE KEY CERTIFICATE RAMDISK...
//! ARCH is x86_64 or aarch64. KEY and CERTIFICATE are PEM files, or both `-` for an image without a signature. Both may be
//! lists, with commas: the first pair signs as the image is written, the others one after the other sign the written file.
use aws_nitro_enclaves_image_format::defs::{EifBuildInfo, EifIdentityInfo, EIF_HDR_ARCH_ARM64};
use aws_nitro_enclaves_image_format::utils::eif_reader::EifReader;
use aws_nitro_enclaves_image_format::utils::{EifBuilder, EifSigner, PcrSignatureChecker, SignKeyData};
use serde_json::json;
use sha2::{Digest, Sha384};
use std::fs::OpenOptions;
use std::path::Path;

fn identity(out: &str) -> EifIdentityInfo {
    let name = Path::new(out).file_stem().expect("OUT is a file").to_string_lossy();
    EifIdentityInfo {
        img_name: name.into_owned(),
        img_version: "1".into(),
        build_info: EifBuildInfo {
            build_time: "2026-01-01T00:00:00+00:00".into(),
            build_tool: "eif-writer".into(),
            build_tool_version: "0".into(),
            img_os: "Linux".into(),
            img_kernel: "none".into(),
        },
        docker_info: json!({}),
        custom_info: json!({"note": "a test vector: it does not boot"}),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, arch, kernel, cmdline, key, certificate, ramdisks @ ..] = arguments.as_slice() else {
        panic!("eif-writer OUT ARCH KERNEL CMDLINE KEY CERTIFICATE RAMDISK...")
    };
    let flags = if arch == "aarch64" { EIF_HDR_ARCH_ARM64 } else { 0 };
    let mut signing_keys = key.split(',').zip(certificate.split(',')).map(|(key, certificate)| {
        (key != "-").then(|| SignKeyData::new(key, Path::new(certificate)).expect("KEY and CERTIFICATE"))
    });
    let at_once = signing_keys.next().flatten();

    let mut builder =
        EifBuilder::new(Path::new(kernel), cmdline.clone(), at_once, Sha384::new(), flags, identity(out));
    ramdisks.iter().for_each(|ramdisk| builder.add_ramdisk(Path::new(ramdisk)));
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(out).expect("OUT");
    let written = builder.write_to(&mut file);
    drop(file);
    for signing_key in signing_keys {
        EifSigner::new(signing_key).expect("a further KEY").sign_image(out).expect("sign");
    }

    let mut reader = EifReader::from_eif(out.clone()).expect("the crate reads what it wrote");
    let pcrs = reader.get_measurements().expect("measure");
    assert!(reader.check_crc(), "the crate's reader agrees with the CRC");
    // PCR8 is the last signer's, and the writer knows the first
    let agree = |name: &String| name == "PCR8" || pcrs.get(name) == written.get(name);
    assert!(written.keys().all(agree), "writer and reader agree");
    let signed = reader.signature_section.is_some();
    if signed {
        reader.get_certificate_info(pcrs.clone()).expect("certificate");
        assert_eq!(reader.sign_check, Some(true), "the signature is of this PCR0");
        PcrSignatureChecker::from_eif(out).and_then(|mut checker| checker.verify()).expect("the signature verifies");
    }
    println!("{}", json!({"file": out, "architecture": arch, "signed": signed, "measurements": pcrs}));
}
