// A server of somebody else's making: Fedify, unmodified, behind Node's own HTTP. It keeps what it
// takes, and judges every request twice: as Fedify's inbox does, and by asking Fedify separately
// whether the HTTP signature and the object integrity proof hold.
import { createServer } from "node:http";
import { createFederation, generateCryptoKeyPair, MemoryKvStore, verifyObject, verifyRequest } from "@fedify/fedify";
import { Accept, Activity, Announce, Application, Create, Delete, Endpoints, Follow, Reject, Undo, Update } from "@fedify/vocab";

/** Serves the actors `names` on loopback. `shy` is only shown to those who say who they are. */
export async function serve(port, names) {
  const origin = `http://127.0.0.1:${port}`;
  const federation = createFederation({ kv: new MemoryKvStore(), allowPrivateAddress: true, origin });
  const keys = new Map();
  for (const name of names) {
    keys.set(name, [await generateCryptoKeyPair("RSASSA-PKCS1-v1_5"), await generateCryptoKeyPair("Ed25519")]);
  }
  const taken = [];
  federation
    .setActorDispatcher("/users/{identifier}", async (ctx, identifier) => {
      if (!keys.has(identifier)) return null;
      const pairs = await ctx.getActorKeyPairs(identifier);
      return new Application({
        id: ctx.getActorUri(identifier),
        preferredUsername: identifier,
        inbox: ctx.getInboxUri(identifier),
        endpoints: new Endpoints({ sharedInbox: ctx.getInboxUri() }),
        publicKey: pairs[0].cryptographicKey,
        assertionMethods: pairs.map((pair) => pair.multikey),
      });
    })
    .setKeyPairsDispatcher((_, identifier) => keys.get(identifier) ?? [])
    .authorize(async (ctx, identifier) => identifier !== "shy" || (await ctx.getSignedKeyOwner()) != null);
  const inbox = federation.setInboxListeners("/users/{identifier}/inbox", "/inbox");
  for (const type of [Accept, Reject, Create, Update, Delete, Announce, Follow, Undo]) {
    inbox.on(type, (ctx, activity) => {
      taken.push({ type: type.name, activity, request: ctx.data });
    });
  }
  // How a server that knows one dialect only answers the other.
  const server = { origin, taken, asked: [], knows: null };
  const listener = createServer(async (incoming, outgoing) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const make = () =>
      new Request(new URL(incoming.url, origin), { method: incoming.method, headers: incoming.headers, body });
    const about = { method: incoming.method, path: incoming.url, dialect: dialect(incoming.headers), body };
    server.asked.push(about);
    let response;
    if (incoming.method === "POST" && server.knows != null && about.dialect !== server.knows) {
      response = new Response("unknown signature", { status: 401 });
    } else {
      if (body != null) Object.assign(about, await verdicts(server.context(), make(), body));
      response = await federation.fetch(make(), { contextData: about });
    }
    about.status = response.status;
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  });
  server.context = () => federation.createContext(new URL(origin), null);
  server.keys = async (name) => server.context().getActorKeyPairs(name);
  server.close = () => listener.close();
  await new Promise((resolve) => listener.listen(port, "127.0.0.1", resolve));
  return server;
}

function dialect(headers) {
  if (headers["signature-input"] != null) return "rfc9421";
  return headers.signature != null ? "draft-cavage-http-signatures-12" : null;
}

/** What Fedify says of the two signatures, each by itself. */
async function verdicts(ctx, request, body) {
  const loaders = { documentLoader: ctx.documentLoader, contextLoader: ctx.contextLoader };
  const signedBy = (await verifyRequest(request, loaders))?.ownerId?.href ?? null;
  const activity = await verifyObject(Activity, JSON.parse(body), loaders).catch(() => null);
  return { signedBy, provenBy: activity?.actorId?.href ?? null };
}
