// Checks and makes record proofs (eddsa-jcs-2022) with nothing of this project: Ed25519 from Node's
// crypto, canonical JSON from npm canonicalize, base58 from npm bs58.
//
//   node judge.mjs verify RECORD            exits 0 if the proof fits, 1 if not
//   node judge.mjs sign RECORD KEYFILE      prints the record with a higher seq, signed anew
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import bs58 from "bs58";
import canonicalize from "canonicalize";

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const sha256 = (text) => createHash("sha256").update(text, "utf8").digest();
const multibase = (text) => Buffer.from(bs58.decode(text.slice(1)));

function input(record) {
  const { proof, ...document } = record;
  const { proofValue, ...options } = proof;
  return Buffer.concat([sha256(canonicalize(options)), sha256(canonicalize(document))]);
}

const [task, recordFile, keyFile] = process.argv.slice(2);
const record = JSON.parse(readFileSync(recordFile, "utf8"));
if (task === "verify") {
  const key = multibase(record.proof.verificationMethod.split("#")[1]).subarray(2);
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI, key]), format: "der", type: "spki" });
  const fits = verify(null, input(record), publicKey, multibase(record.proof.proofValue));
  console.log(fits ? "the proof fits" : "the proof does NOT fit");
  process.exit(fits ? 0 : 1);
} else if (task === "sign") {
  const seed = multibase(JSON.parse(readFileSync(keyFile, "utf8")).recordKey).subarray(2);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
  record.seq += 1;
  record.body.name = { ...record.body.name, ar: "دورة", "zh-Hant": "課程 😀" };
  delete record.proof.proofValue;
  record.proof.proofValue = "z" + bs58.encode(sign(null, input(record), key));
  console.log(JSON.stringify(record, null, 2));
} else {
  console.error("usage: node judge.mjs verify RECORD | sign RECORD KEYFILE");
  process.exit(2);
}
