// The API: one request after another, with the server's own words when it refuses.

export class Refused extends Error {
  constructor(status, body) {
    super(body.text || 'The server answered ' + status + '.');
    this.status = status;
    this.body = body;
  }
}

export async function call(method, path, body, headers = {}) {
  const stop = new AbortController(), timer = setTimeout(() => stop.abort(), 30000);
  try {
    const options = { method, headers: { ...headers }, signal: stop.signal, credentials: 'same-origin' };
    if (method !== 'GET') {
      options.headers['Content-Type'] = 'application/json';
      options.body = JSON.stringify(body || {});
    }
    const response = await fetch('/api/v1/' + path, options);
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(response.status, answer);
    return answer;
  } finally {
    clearTimeout(timer);
  }
}

export const get = path => call('GET', path);
export const post = (path, body) => call('POST', path, body);

/** Polls in turn, one request in flight; rests while nobody looks, backs off while nobody answers. */
export class Poller {
  constructor(use, lost) {
    Object.assign(this, { use, lost, polls: new Map(), fails: 0, run: 0 });
    document.addEventListener('visibilitychange', () => this.start());
  }

  /** What to ask, as {key: [path or function, milliseconds]}. What stays the same keeps its rhythm. */
  ask(wanted) {
    const before = this.polls;
    this.polls = new Map(Object.entries(wanted).map(([key, [path, every]]) => {
      const same = before.get(key);
      return [key, { path, every, due: same && same.path === path ? same.due : 0 }];
    }));
    this.start();
  }

  now(key) {
    const poll = this.polls.get(key);
    if (poll) poll.due = 0;
    this.start();
  }

  start() {
    clearTimeout(this.timer);
    if (!this.busy && !document.hidden) this.turn();
  }

  async turn() {
    const [key, poll] = [...this.polls].sort((a, b) => a[1].due - b[1].due)[0] || [];
    if (!poll) return;
    const wait = poll.due - performance.now();
    if (wait > 0) { this.timer = setTimeout(() => this.start(), wait); return; }
    this.busy = true;
    let pause = 0;
    try {
      const answer = await get(typeof poll.path === 'function' ? poll.path() : poll.path);
      if (this.fails) { this.fails = 0; this.lost(0); }
      if (this.polls.get(key) === poll) this.use(key, answer);
    } catch (error) {
      if (error instanceof Refused) this.use(key, null, error);
      else { this.fails++; pause = Math.min(30000, 1000 * 2 ** this.fails); this.lost(this.fails, pause, error); }
    }
    poll.due = performance.now() + poll.every;
    this.busy = false;
    if (pause) this.timer = setTimeout(() => this.start(), pause);
    else this.start();
  }
}
