// Checks and makes record proofs (eddsa-jcs-2022) with nothing of this project: Ed25519 from Node's
// crypto, canonical JSON from npm canonicalize, base58 from npm bs58.
//
//   node judge.mjs verify RECORD            exits 0 if the proof fits, 1 if not
//   node judge.mjs sign RECORD KEYFILE      prints the record with a higher seq, signed anew
//   node judge.mjs vectors FOLDER           exits 0 if all of protocol/vectors is as described there
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import bs58 from "bs58";
import canonicalize from "canonicalize";

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const sha256 = (text) => createHash("sha256").update(text, "utf8").digest();
const multibase = (text) => Buffer.from(bs58.decode(text.slice(1)));

const hash = (text) => bs58.encode(Buffer.concat([Buffer.from([0x12, 0x20]), sha256(text)]));
const publicKeyOf = (multikey) =>
  createPublicKey({ key: Buffer.concat([SPKI, multibase(multikey).subarray(2)]), format: "der", type: "spki" });

function must(what, holds) {
  if (!holds) throw new Error(what);
}

// A document whose proof is described step by step, as the vectors have it.
function judgeProof(what, document, steps) {
  const [proof] = [document.proof].flat();
  const { proof: _, ...rest } = document;
  const { proofValue, ...options } = proof;
  must(`${what}: the options' canonical form`, canonicalize(options) === steps.optionsCanonical);
  must(`${what}: the document's canonical form`, canonicalize(rest) === steps.documentCanonical);
  const signed = Buffer.concat([sha256(steps.optionsCanonical), sha256(steps.documentCanonical)]);
  must(`${what}: the signed bytes`, signed.toString("hex") === steps.signed);
  must(`${what}: the signature`, verify(null, signed, publicKeyOf(steps.publicKey), multibase(proofValue)));
}

function judgeVectors(folder) {
  const read = (name) => JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8"));
  const fits = (record) =>
    verify(null, input(record), publicKeyOf(record.proof.verificationMethod.split("#")[1]), multibase(record.proof.proofValue));

  const log = read("log");
  must("the SCID", hash(log.scidHashed) === log.scid);
  let predecessor = log.scid;
  let committed = null;
  for (const { line, hashed, versionId, proof } of log.entries) {
    const entry = JSON.parse(line);
    const { proof: _, ...rest } = entry;
    must("what an entry's hash is made of", canonicalize({ ...rest, versionId: predecessor }) === hashed);
    must("an entry's hash", versionId.endsWith(`-${hash(hashed)}`) && entry.versionId === versionId);
    const [key] = entry.parameters.updateKeys;
    must("pre-rotation", committed === null || committed.includes(hash(key)));
    must("the signer of an entry", proof.publicKey === key);
    judgeProof("an entry", entry, proof);
    [predecessor, committed] = [versionId, entry.parameters.nextKeyHashes];
  }
  const newest = JSON.parse(log.entries.at(-1).line).state;
  const listed = newest.verificationMethod.map((method) => method.publicKeyMultibase);
  must("the listed keys", canonicalize(listed) === canonicalize(log.listed) && newest.id === log.did);

  const records = ["record", "withdrawn", "checkpoint"].map(read).flatMap((it) => [it, ...(it.counting ?? [])]);
  for (const { canonical, record, version } of records) {
    const tree = JSON.parse(canonical);
    must("a record's canonical form", canonicalize(tree) === canonical);
    must("a record's version", hash(canonical) === version);
    must("a record's name", record === `${tree.author.split(":")[2]}/${tree.localId}`);
    must("a record's signature", fits(tree));
    must("a record's key", listed.includes(tree.proof.verificationMethod.split("#")[1]));
  }
  judgeProof("the record", JSON.parse(read("record").canonical), read("record").proof);
  for (const { because, record } of read("record").refused) {
    const tree = JSON.parse(record);
    const isDropped = log.dropped.includes(tree.proof.verificationMethod.split("#")[1]);
    must(because, because === "key-retired" ? isDropped && fits(tree) : !fits(tree));
  }
  const checkpoint = read("checkpoint");
  const sorted = checkpoint.counting.map((it) => it.versionSha256).sort();
  must("the order of digests", canonicalize(sorted) === canonicalize(checkpoint.sorted));
  const all = createHash("sha256").update(Buffer.from(sorted.join(""), "hex")).digest();
  must("a checkpoint's digest", bs58.encode(Buffer.concat([Buffer.from([0x12, 0x20]), all])) === checkpoint.digest);

  const fork = read("fork");
  const other = JSON.parse(fork.other);
  const first = JSON.parse(fork.lines[0]);
  must("the other second entry", other.versionId === fork.otherVersionId && fork.otherVersionId.startsWith("2-"));
  const { proof: otherProof, ...otherRest } = other;
  must("its hash", other.versionId === `2-${hash(canonicalize({ ...otherRest, versionId: first.versionId }))}`);
  must("its key was committed to", first.parameters.nextKeyHashes.includes(hash(other.parameters.updateKeys[0])));
  must("its signature", verify(null, input({ ...otherRest, proof: otherProof[0] }), publicKeyOf(other.parameters.updateKeys[0]), multibase(otherProof[0].proofValue)));

  const activity = read("activity");
  judgeProof("the activity", JSON.parse(activity.body), activity.proof);
  must("the record within", canonicalize(JSON.parse(activity.body).object.barazaRecord) === read("record").canonical);
  const target = new URL(activity.target);
  for (const { dialect, key, headers, base } of activity.requests) {
    const header = (name) => headers.find(([known]) => known === name)[1];
    const digest = createHash("sha256").update(activity.body, "utf8").digest("base64");
    let made;
    let signature;
    if (dialect === "rfc9421") {
      must("a content digest", header("content-digest") === `sha-256=:${digest}:`);
      const parameters = header("signature-input").replace(/^sig1=/, "");
      const values = { "@method": activity.method, "@target-uri": activity.target, "@authority": target.host };
      const covered = [...parameters.match(/^\(([^)]*)\)/)[1].matchAll(/"([^"]+)"/g)].map((it) => it[1]);
      made = [...covered.map((name) => `"${name}": ${values[name] ?? header(name)}`), `"@signature-params": ${parameters}`].join("\n");
      signature = header("signature").match(/^sig1=:(.*):$/)[1];
    } else {
      must("a digest", header("digest") === `SHA-256=${digest}`);
      const covered = header("signature").match(/headers="([^"]*)"/)[1].split(" ");
      const value = (name) => (name === "(request-target)" ? `post ${target.pathname}` : header(name));
      made = covered.map((name) => `${name}: ${value(name)}`).join("\n");
      signature = header("signature").match(/signature="([^"]*)"/)[1];
    }
    must(`the bytes to sign by ${dialect}`, made === base);
    const isRsa = key === "rsa";
    const publicKey = isRsa
      ? createPublicKey(activity.actor.publicKey.publicKeyPem)
      : publicKeyOf(activity.actor.assertionMethod[0].publicKeyMultibase);
    const bytes = Buffer.from(base, "utf8");
    must(`a signature by ${dialect}`, verify(isRsa ? "sha256" : null, bytes, publicKey, Buffer.from(signature, "base64")));
  }
  for (const { line } of read("sync").lines) JSON.parse(line);
}

function input(record) {
  const { proof, ...document } = record;
  const { proofValue, ...options } = proof;
  return Buffer.concat([sha256(canonicalize(options)), sha256(canonicalize(document))]);
}

const [task, recordFile, keyFile] = process.argv.slice(2);
if (task === "vectors") {
  judgeVectors(recordFile);
  console.log("the vectors are as described");
  process.exit(0);
}
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
  console.error("usage: node judge.mjs verify RECORD | sign RECORD KEYFILE | vectors FOLDER");
  process.exit(2);
}
