"""apsig and a node of ours judge what the other signs: object integrity proofs (FEP-8b32), requests, records.

Usage: judge.py PATH-TO-BARAZA WORK-FOLDER
"""

import base64
import copy
import datetime
import email.utils
import hashlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from apsig import ProofSigner, ProofVerifier
from apsig.draft.sign import Signer
from apsig.draft.verify import Verifier
from apsig.rfc9421 import RFC9421Signer, RFC9421Verifier
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from multiformats import multibase, multicodec

PATIENCE_SECONDS = 60
ACTIVITY = "application/activity+json"
CONTEXT = ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/data-integrity/v2"]

baraza, work = sys.argv[1:]
folder = f"{work}/node"


def step(text):
    print(f"- {text}", flush=True)


def must(what, holds):
    if not holds:
        sys.exit(f"FAILED: {what}")


def until(what, attempt):
    start = time.monotonic()
    while True:
        found = attempt()
        if found:
            return found
        must(f"within {PATIENCE_SECONDS} s: {what}", time.monotonic() - start < PATIENCE_SECONDS)
        time.sleep(0.02)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for it in sockets:
        it.bind(("127.0.0.1", 0))
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


port, own_port = free_ports(2)
url, own = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{own_port}"
actor = f"{own}/actor"
# A key id that is an address of its own, as some servers write them.
rsa_id, proof_id = f"{actor}/main-key", f"{actor}#ed25519"
rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
proof_key = ed25519.Ed25519PrivateKey.generate()


def multikey(public):
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return multibase.encode(multicodec.wrap("ed25519-pub", raw), "base58btc")


def pem(public):
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


public_key = {"id": rsa_id, "owner": actor, "publicKeyPem": pem(rsa_key.public_key())}
documents = {
    "/actor/main-key": {"type": "Key", **public_key},
    "/actor": {
        "@context": CONTEXT,
        "id": actor,
        "type": "Application",
        "inbox": f"{own}/inbox",
        "publicKey": public_key,
        "assertionMethod": [
            {"id": proof_id, "type": "Multikey", "controller": actor,
             "publicKeyMultibase": multikey(proof_key.public_key())}
        ],
    },
}


class Inbox(BaseHTTPRequestHandler):
    """Serves the actor; refuses requests by RFC 9421, as older servers do, and keeps all others."""

    taken = []
    newer = []

    def log_message(self, *_):
        pass

    def answer(self, status, document=None):
        body = json.dumps(document).encode() if document else b""
        self.send_response(status)
        self.send_header("content-type", ACTIVITY)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        found = documents.get(self.path)
        self.answer(200 if found else 404, found)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = {"headers": {name.lower(): value for name, value in self.headers.items()},
                   "path": self.path, "body": body}
        if "signature-input" in request["headers"]:
            self.newer.append(request)
            self.answer(401)
        else:
            self.taken.append(request)
            self.answer(202)


server = ThreadingHTTPServer(("127.0.0.1", own_port), Inbox)
threading.Thread(target=server.serve_forever, daemon=True).start()


def get(address):
    request = urllib.request.Request(address, headers={"accept": ACTIVITY})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)


def post(headers, body):
    """Sends to the node's inbox; gives status and problem code."""
    request = urllib.request.Request(f"{url}/inbox", data=body, method="POST")
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, None
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused).get("code")


def run(*words):
    return subprocess.run([baraza, *words, "--dir", folder], check=True, capture_output=True, text=True).stdout


def activity(kind, target):
    return {"@context": CONTEXT, "id": f"{own}/activities/{uuid.uuid4()}", "type": kind, "actor": actor, "object": target}


def proven(document, key=proof_key):
    now = datetime.datetime.now(datetime.timezone.utc)
    return ProofSigner(key).sign(document, {
        "type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofPurpose": "assertionMethod",
        "verificationMethod": proof_id, "created": now.strftime("%Y-%m-%dT%H:%M:%SZ")})


def cavage(body):
    return Signer(headers={"content-type": ACTIVITY}, private_key=rsa_key, method="POST",
                  url=f"{url}/inbox", key_id=rsa_id, body=body).sign()


def send(document):
    body = json.dumps(document).encode()
    return post(cavage(body), body)


def proof_holds(document, key):
    # The verifier takes the proof's value out of what it is given.
    return ProofVerifier(key).verify(copy.deepcopy(document)) is not None


def request_holds(request, key, **changed):
    request = {**request, **changed}
    return Verifier(key, "POST", own + request["path"], request["headers"], request["body"]).verify() is not None


def told(kind, text=""):
    for request in Inbox.taken:
        document = json.loads(request["body"])
        if document["type"] == kind and text in request["body"].decode():
            return request, document
    return None


def judge(what, request, document, by):
    """Whether a request of ours, and what it carries, hold as apsig sees it, and fall when they are altered."""
    keys = get(by)
    must(f"{what} is by {by}", document["actor"] == by)
    http_key, [listed] = keys["publicKey"]["publicKeyPem"], keys["assertionMethod"]
    must(f"the signature of the {what} holds", request_holds(request, http_key))
    must(f"the key of the {what} is the actor's", f'keyId="{keys["publicKey"]["id"]}"' in request["headers"]["signature"])
    must("another body is noticed", not request_holds(request, http_key, body=request["body"] + b" "))
    must("another address is noticed", not request_holds(request, http_key, path="/other"))
    sent = email.utils.parsedate_to_datetime(request["headers"]["date"]) - datetime.timedelta(seconds=1)
    earlier = {**request["headers"], "date": email.utils.format_datetime(sent, usegmt=True)}
    must("another date is noticed", not request_holds(request, http_key, headers=earlier))
    must("another key is noticed", not request_holds(request, pem(rsa_key.public_key())))
    must("the proof names a listed key", document["proof"]["verificationMethod"] == listed["id"])
    must(f"the proof of the {what} holds", proof_holds(document, listed["publicKeyMultibase"]))
    must("an altered activity is noticed", not proof_holds({**document, "to": []}, listed["publicKeyMultibase"]))
    must("another proof key is noticed", not proof_holds(document, multikey(proof_key.public_key())))


peers = [word for host in ("127.0.0.1", "node.localhost") for at in (port, own_port)
         for word in ("--insecure-peer", f"{host}:{at}")]
subprocess.run([baraza, "init", folder, "--name", "Interop", "--url", url, *peers], check=True, capture_output=True)
run("org", "add", "school", "--name", "School")
node = subprocess.Popen([baraza, "serve", "--dir", folder], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
words = []
threading.Thread(target=lambda: words.extend(node.stderr), daemon=True).start()


def is_ready():
    must(b"".join(words).decode(), node.poll() is None)
    try:
        return urllib.request.urlopen(f"{url}/readyz", timeout=1).status == 200
    except OSError:
        return False


try:
    until("the node serves", is_ready)
    school = f"{url}/orgs/school"

    # What it signs, judged by us.
    follow = proven(activity("Follow", school))
    must("its Follow is taken", send(follow) == (202, None))
    stranger = proven(activity("Like", school), key=ed25519.Ed25519PrivateKey.generate())
    must("a proof by another key is refused", send(stranger) == (422, "bad-signature"))
    must("an altered activity is refused", send({**proven(activity("Like", school)), "object": url}) == (422, "bad-signature"))
    body = json.dumps(activity("Like", school)).encode()
    altered = post(cavage(body), body.replace(b"Like", b"Love"))
    must("an altered body is refused", altered == (401, "digest-mismatch"))
    must("what is signed by draft-cavage-12 alone is taken", post(cavage(body), body) == (202, None))
    step("signs and proves a Follow that the node takes, under a key with an address of its own; altered, it is refused")

    def rfc9421(document, covered):
        content = json.dumps(document).encode()
        digest = "sha-256=:" + base64.b64encode(hashlib.sha256(content).digest()).decode() + ":"
        signer = RFC9421Signer(rsa_key, rsa_id)
        signer.sign_headers = covered
        headers = signer.sign("POST", "/inbox", f"127.0.0.1:{port}", {"content-type": ACTIVITY, "content-digest": digest}, content)
        # It writes a digest of a form of its own over the one that it signed.
        return {**headers, "content-digest": digest}, content

    components = ["@method", "@path", "@authority", "content-type", "content-digest"]
    must("its RFC 9421 is taken", post(*rfc9421(activity("Like", school), components)) == (202, None))
    headers, content = rfc9421(activity("Like", school), components)
    must("an altered body is refused", post(headers, content.replace(b"Like", b"Love")) == (401, "digest-mismatch"))
    bare = rfc9421(activity("Like", school), components[:-1])
    must("a signature that covers no digest is refused", post(*bare) == (401, "missing-component"))
    step("signs by RFC 9421 with RSA, told to cover the digest: taken; without it, refused")

    # What we sign, judged by it.
    request, accept = until("the Accept", lambda: told("Accept"))
    judge("Accept", request, accept, school)
    draft = {"type": "Offering", "localId": "welding-101", "language": "fr",
             "body": {"kind": "course", "name": {"fr": "Soudure — “débutant” 😀"}, "countries": ["SN"],
                      "instances": [{"start": "2027-01-12", "seats": 30}]}}
    with open(f"{work}/draft.json", "w", encoding="utf-8") as file:
        json.dump(draft, file)
    run("publish", f"{work}/draft.json", "--org", "school")
    request, create = until("the Create", lambda: told("Create", "welding-101"))
    judge("Create", request, create, school)
    step("the node's HTTP signatures by draft-cavage-12 and proofs of Accept and Create hold; altered, they do not")

    record = create["object"]["barazaRecord"]
    record_key = record["proof"]["verificationMethod"].rsplit("#", 1)[1]
    must("the record's own proof holds", proof_holds(record, record_key))
    altered = copy.deepcopy(record)
    altered["body"]["instances"][0]["seats"] = 31
    must("an altered record is noticed", not proof_holds(altered, record_key))
    step("the record within holds by its own proof; altered, it does not")

    must("the node tried RFC 9421 first", Inbox.newer)
    newer = Inbox.newer[0]
    verdict = RFC9421Verifier(serialization.load_pem_public_key(get(school)["publicKey"]["publicKeyPem"].encode()),
                              "POST", newer["path"], f"127.0.0.1:{own_port}", newer["headers"], newer["body"]).verify()
    # It knows neither @target-uri nor the parameter nonce. Should it learn them, this becomes a check.
    step(f"the node's RFC 9421 signatures: {'hold' if verdict else 'not judged, apsig reads no @target-uri and no nonce'}")
finally:
    node.send_signal(signal.SIGTERM)
    node.wait(timeout=PATIENCE_SECONDS)
must(b"".join(words).decode(), node.returncode == 0 and b"panicked" not in b"".join(words))

# A record that apsig signs with the organisation's own key.
with open(f"{folder}/keys/school.key", encoding="utf-8") as file:
    secret = json.load(file)["recordKey"]
method = record["proof"]["verificationMethod"]
theirs = {name: value for name, value in record.items() if name != "proof"}
theirs["seq"] += 1
theirs["body"]["name"]["fr"] = "課程 \u20ac"
options = {**{name: value for name, value in record["proof"].items() if name != "proofValue"}, "verificationMethod": method}
signed = ProofSigner(secret).sign(theirs, options)
bundle = f"{work}/bundle.ndjson.zst"
run("bundle", "export", bundle)
lines = subprocess.run(["zstd", "-dqc", bundle], check=True, capture_output=True).stdout.decode().splitlines()
scid = record["author"].split(":")[2]
log = [json.dumps(line["log"]) for line in map(json.loads, lines) if line.get("scid") == scid and "log" in line]
with open(f"{work}/did.jsonl", "w", encoding="utf-8") as file:
    file.write("\n".join(log) + "\n")


def verifies(document):
    with open(f"{work}/record.json", "w", encoding="utf-8") as file:
        json.dump(document, file)
    words = [baraza, "verify", f"{work}/record.json", "--log", f"{work}/did.jsonl"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


must("a record that apsig signed verifies", verifies(signed))
must("altered, it does not", not verifies({**signed, "seq": signed["seq"] + 1}))
step("signs a record that verifies here; altered, it does not")
print("both agree")
