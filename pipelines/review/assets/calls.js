// Calls to the server beside this page. A call that gets no answer is made again until it does: events have ids, so the
// server counts each once, however often it hears of it.
const PAUSE = 400;
const offline = document.getElementById("offline");

export class Refused extends Error {
  constructor(answer, status) {
    super(answer.message ?? `the server answered ${status}`);
    this.kind = answer.error ?? "";
  }
}

const once = async (path, options) => {
  const answer = await fetch(`api/${path}`, { ...options, cache: "no-store", credentials: "omit", redirect: "error" });
  if (answer.ok) return answer.json(); // one that a kill cut short is none
  throw new Refused(await answer.json().catch(() => ({})), answer.status);
};

const lasting = async (path, options) => {
  for (;;) {
    try {
      const body = await once(path, options);
      offline.hidden = true;
      return body;
    } catch (error) {
      if (error instanceof Refused) {
        offline.hidden = true;
        throw error;
      }
      offline.textContent = "The review does not answer. What was shown as done is on disk; start the same command again "
        + "and this page goes on.";
      offline.hidden = false;
      await new Promise((wake) => setTimeout(wake, PAUSE));
    }
  }
};

export const get = (path) => lasting(path, {});

export const post = (path, body) => lasting(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});

export const newId = () => crypto.randomUUID();

// Sends the newest of many values, one call at a time: `send(value)` while another is under way waits, and is replaced by
// a newer one. `done()` is a promise that all that was given is answered.
export const latest = (call) => {
  let waiting = null;
  let running = null;
  const run = async () => {
    while (waiting) {
      const value = waiting;
      waiting = null;
      await call(value.value);
    }
    running = null;
  };
  return {
    send(value) {
      waiting = { value };
      running ??= run();
      return running;
    },
    done: () => running ?? Promise.resolve(),
    get busy() { return running !== null; },
  };
};
