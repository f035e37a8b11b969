// Made from web/client by `npm run client`: change it there.
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __defNormalProp = (obj, key, value) => key in obj ? __defProp(obj, key, { enumerable: true, configurable: true, writable: true, value }) : obj[key] = value;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var __publicField = (obj, key, value) => __defNormalProp(obj, typeof key !== "symbol" ? key + "" : key, value);

// <stdin>
var stdin_exports = {};
__export(stdin_exports, {
  PayError: () => PayError,
  createClient: () => createClient,
  isSettled: () => isSettled,
  wxTransport: () => wxTransport
});
module.exports = __toCommonJS(stdin_exports);

// web/client/client.ts
var PayError = class extends Error {
  constructor(code, status, problem, retryAfterS) {
    super(code);
    __publicField(this, "code", code);
    __publicField(this, "status", status);
    __publicField(this, "problem", problem);
    __publicField(this, "retryAfterS", retryAfterS);
  }
};
var isSettled = ({ state }) => !["created", "pending", "closing"].includes(state);
var isPassing = ({ code, status }) => code === "no_answer" || code === "order_in_progress" || status === 504 || status === 503 && code !== "configuration";
var RETRY_MS = [500, 1500, 3e3];
var LOOK_MS = [1e3, 2e3, 2e3, 3e3, 3e3, 5e3, 5e3, 8e3];
var sleepMs = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function askOnce(transport, request) {
  let status = 0;
  let retryAfterS;
  let read;
  try {
    const answer = await transport(request);
    status = answer.status;
    retryAfterS = Number(answer.retryAfter) || void 0;
    read = JSON.parse(answer.text);
  } catch {
  }
  const problem = read;
  if (typeof read !== "object" || !read) throw new PayError("no_answer", status);
  if (status >= 200 && status < 300) return read;
  throw problem.code ? new PayError(problem.code, status, problem, retryAfterS) : new PayError("no_answer", status);
}
function createClient(options) {
  const { base, transport, sleep = sleepMs } = options;
  let { session } = options;
  const once = (request) => askOnce(transport, request);
  async function retrying(request) {
    for (let turn = 0; ; turn++) {
      try {
        return await once(request);
      } catch (error) {
        const waitMs = RETRY_MS[turn];
        if (waitMs === void 0 || !isPassing(error)) throw error;
        await sleep(Math.max(waitMs, (error.retryAfterS ?? 0) * 1e3));
      }
    }
  }
  function make(name, path, body, more = {}) {
    const headers = { ...more };
    if (session) {
      headers["authorization"] = `Bearer ${session.token}`;
      headers["x-session-secret"] = session.secret;
    }
    if (body) headers["content-type"] = "application/json";
    const url = (typeof base === "string" ? base : base[name]).replace(/\/$/, "") + path;
    return body ? { method: "POST", url, headers, body: JSON.stringify(body) } : { method: "GET", url, headers };
  }
  const orderPath = (number) => `/orders/${encodeURIComponent(number)}`;
  const client = {
    /** The `state` for one redirect. `secret_hash`: SHA-256 of the secret's 32 bytes, base64url. */
    beginLogin: (login) => retrying(make("session", "/session/state", login)),
    /**
     * A session, which the calls below use from now on. Never sent twice: a code and a state are good once.
     * `secret`: 32 random bytes of this device, base64url.
     */
    async login(login) {
      const said = await once(make("session", "/session", login));
      session = { token: said.token, secret: login.secret };
      return { ...session, expires_in: said.expires_in };
    },
    /**
     * Orders, or finds the order there is: `idempotencyKey` (visible ASCII, at most 255) says that it is the same
     * wish; a quote says it by itself. When no answer comes, the same bytes are sent again, a few times.
     *
     * `purchase_open`: an earlier order of the same purchase (`merchant_order_id`) can still be paid, also when its
     * payer has cancelled the wallet. Pay that one: it is `problem.out_trade_no` when it is this payer's. A new one is
     * possible once the earlier one can be closed, as early as 300 s (`CLOSE_NOT_BEFORE`) after it was made; that is in
     * `retryAfterS`, and is not waited for here. The same wish under the same key may then be sent again.
     */
    createOrder: (wish, idempotencyKey) => retrying(make("createOrder", "/orders", wish, { "idempotency-key": idempotencyKey })),
    /** The order as it is kept. `refresh`: Cloud Pay is asked first, once in three seconds at most. */
    readOrder: (number, { refresh = false } = {}) => once(make("status", orderPath(number) + (refresh ? "?refresh=1" : ""))),
    closeOrder: (number) => once(make("closeOrder", `/close/${encodeURIComponent(number)}`, {})),
    /**
     * Looks until the order is settled, backing off, or until `looks` are used up or `stop` says so; then the last that
     * was seen, which is never to be taken for a failure: what is not settled is unknown. `onLook` is told of each
     * look, also of one that came to nothing. Throws what does not pass by itself, such as `session_ended`.
     */
    async waitUntilSettled(number, { looks = 16, stop = () => false, onLook = () => {
    } } = {}) {
      let order;
      for (let turn = 0; turn < looks && !stop(); turn++) {
        if (turn) await sleep(LOOK_MS[Math.min(turn, LOOK_MS.length) - 1]);
        if (stop()) break;
        try {
          order = await client.readOrder(number, { refresh: true });
          onLook(order);
          if (isSettled(order)) return { settled: true, order };
        } catch (error) {
          const { code, status } = error;
          if (code !== "no_answer" && status < 429) throw error;
          onLook(void 0);
        }
      }
      return { settled: false, order };
    }
  };
  return client;
}

// web/client/transports.ts
var TIMEOUT_MS = 15e3;
var wxTransport = (request, timeoutMs = TIMEOUT_MS) => ({ url, method, headers: header, body }) => new Promise((resolve, reject) => {
  request({
    url,
    method,
    header,
    ...body === void 0 ? {} : { data: body },
    // Any other word than `json`: the text is handed over as it came.
    dataType: "text",
    timeout: timeoutMs,
    success: ({ statusCode, data, header: got }) => resolve({
      status: statusCode,
      text: String(data),
      retryAfter: got["retry-after"] ?? got["Retry-After"]
    }),
    fail: ({ errMsg }) => reject(new Error(errMsg))
  });
});
