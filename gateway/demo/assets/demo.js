'use strict';
// A flash sale in a browser: one holder and one key for each campaign, kept before anything is asked, so that no retry,
// reload or second tab can win a second coupon or lose the first.

const ANSWER_MS_MAX = 8000;
const PAUSE_MS_MAX = 8000;
const EARLY_MS = 2000; // a start this near is waited for, not told
const TICKET_MARGIN_MS = 30000;

const main = document.querySelector('main');
const campaign = main.dataset.campaign;
const find = (name) => main.querySelector(`[data-${name}]`);
const place = `fairclaim-demo ${campaign}`;

let kept = null; // {visitor, key, asked, won: {code, shown, until, picture}}
let sale = null; // what the server says of the campaign
let clock = null; // {serverMs, atMs, tripMs}: the server's time at an instant of ours
let ticket = null; // {text, visitor, untilMs}
let claiming = false;
let trying = 'asking'; // what to show while we ask: asking, busy, offline
let refused = ''; // the last answer that settled it: sold_out, ended, trouble
let fresh = false; // the coupon was won on this page, not before
let wake = () => {};

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function load() {
  let read = null;
  try {
    read = JSON.parse(localStorage.getItem(place));
  } catch {
    read = kept; // no storage here: then it lasts as long as the page
  }
  kept = read && read.visitor && read.key ? read : kept || { visitor: random(), key: random(), asked: false, won: null };
  return kept;
}

function save(changes) {
  Object.assign(load(), changes);
  try {
    localStorage.setItem(place, JSON.stringify(kept));
  } catch {
    // as above
  }
}

// The server's time

function serverNow() {
  return clock ? clock.serverMs + performance.now() - clock.atMs : Date.now();
}

function heard(serverTime, sentMs) {
  const atMs = performance.now();
  const tripMs = atMs - sentMs;
  const serverMs = Date.parse(serverTime) + tripMs / 2;
  // A quicker answer knows it better, unless the two can't both be right: then this device has slept.
  const agrees = clock && Math.abs(serverMs - serverNow()) <= (tripMs + clock.tripMs) / 2;
  if (agrees && tripMs > clock.tripMs && atMs - clock.atMs < 60000) return;
  clock = { serverMs, atMs, tripMs };
}

// Asking

async function ask(path, options = {}) {
  const sentMs = performance.now();
  try {
    const answer = await fetch(path, { cache: 'no-store', ...options, signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    const body = await answer.json();
    return { status: answer.status, body, sentMs, againMs: 1000 * Number(answer.headers.get('retry-after') || 0) };
  } catch {
    return { status: 0, body: {}, sentMs, againMs: 0 };
  }
}

function post(path, body, headers = {}) {
  return ask(path, {
    method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body),
  });
}

async function look() {
  const { status, body, sentMs } = await ask('/demo/sale');
  if (status === 200 && body.id === campaign) {
    heard(body.server_time, sentMs);
    sale = body;
    if (body.remaining > 0 && refused === 'sold_out') refused = '';
  } else if (status === 200 && !kept.won && !claiming) {
    location.reload(); // another campaign has taken its place; nobody loses the code that he is showing
  }
  show();
}

async function getTicket() {
  const { visitor } = load();
  if (ticket && ticket.visitor === visitor && ticket.untilMs - serverNow() > TICKET_MARGIN_MS) return { status: 201 };
  const answer = await post('/demo/ticket', { visitor });
  if (answer.status === 201) {
    ticket = { text: answer.body.ticket, visitor, untilMs: Date.parse(answer.body.expires_at) };
  }
  return answer;
}

async function askForCoupon() {
  const got = await getTicket();
  if (got.status !== 201) return { ...got, body: {} };
  return post(`/v1/campaigns/${campaign}/claims`, { channel: main.dataset.channel }, {
    authorization: `Bearer ${ticket.text}`, 'idempotency-key': load().key,
  });
}

// What an answer to a claim means: true where it is decided, false where the same has to be asked again.
function settle({ status, body }) {
  if (status === 200 || status === 201) {
    fresh = true;
    save({ asked: false, won: { code: body.code, shown: body.display_code, until: body.expires_at } });
    return true;
  }
  if (body.code === 'limit_reached') {
    const code = body.codes[0];
    save({ asked: false, won: { code, shown: code.length === 18 ? code.match(/.{6}/g).join('-') : code, until: '' } });
    return true;
  }
  if (status === 401) ticket = null;
  const isEarly = body.code === 'not_started' && sale && Date.parse(sale.starts_at) - serverNow() < EARLY_MS;
  if (status === 0 || status === 401 || status === 429 || status >= 500 || isEarly) return false;
  refused = { sold_out: 'sold_out', budget_exhausted: 'sold_out', campaign_ended: 'ended' }[body.code] || '';
  if (!refused && !['not_started', 'campaign_paused'].includes(body.code)) refused = 'trouble';
  save({ asked: false });
  return true;
}

async function claim() {
  if (claiming) return;
  const hadFocus = document.activeElement === find('grab');
  claiming = true;
  refused = '';
  save({ asked: true }); // before it is sent: whoever reloads now asks again with the same key
  for (let tries = 0; ; tries += 1) {
    trying = navigator.onLine ? (tries ? 'busy' : 'asking') : 'offline';
    show();
    const answer = await askForCoupon();
    if (settle(answer)) break;
    trying = navigator.onLine ? 'busy' : 'offline';
    show();
    // Never before the server says, and not all phones at once.
    await pause((answer.againMs || Math.min(PAUSE_MS_MAX, 500 * 2 ** tries)) * (1 + Math.random() / 2));
  }
  claiming = false;
  show();
  if (hadFocus) main.querySelector(kept.won ? '.code' : '[data-grab]').focus({ preventScroll: true }); // it was off meanwhile
  if (!kept.won) await look();
}

function pause(ms) {
  return new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, ms);
  });
}

// Showing

function state() {
  if (kept.won) return fresh ? 'won' : 'yours';
  if (claiming) return trying;
  if (!sale) return navigator.onLine ? 'loading' : 'offline';
  const now = serverNow();
  if (refused) return refused;
  if (sale.state === 'ended' || sale.state === 'archived' || now >= Date.parse(sale.ends_at)) return 'ended';
  if (sale.state === 'paused') return 'paused';
  if (now < Date.parse(sale.starts_at)) return 'soon';
  return sale.remaining > 0 ? 'open' : 'sold_out';
}

function show() {
  const now = state();
  if (main.dataset.state !== now) {
    main.dataset.state = now;
    for (const each of main.querySelectorAll('[data-when]')) each.hidden = !each.dataset.when.split(' ').includes(now);
    find('grab').disabled = now !== 'open' && now !== 'trouble';
    if (kept.won) showCoupon();
  }
  if (sale) find('left').textContent = sale.remaining.toLocaleString(document.documentElement.lang);
  showClock();
}

function showCoupon() {
  const { code, shown, until } = kept.won;
  find('code').textContent = shown;
  drawCode(code);
  find('until-row').hidden = !until;
  if (until) {
    find('until').dateTime = until;
    find('until').textContent = new Date(until).toLocaleString(document.documentElement.lang, {
      dateStyle: 'medium', timeStyle: 'short',
    });
  }
}

// The code as a picture. It is asked for in a body, as no log keeps those, and once: it is kept with the coupon.
async function drawCode(code) {
  if (!kept.won.picture) {
    try {
      const answer = await fetch('/demo/qr', {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code }),
      });
      if (!answer.ok) return; // the code is there to read
      save({ won: { ...kept.won, picture: await answer.text() } });
    } catch {
      return;
    }
  }
  const image = find('qr');
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(new Blob([kept.won.picture], { type: 'image/svg+xml' }));
  image.hidden = false;
}

async function copyCode() {
  try {
    await navigator.clipboard.writeText(kept.won.shown);
  } catch {
    getSelection().selectAllChildren(find('code')); // then it is marked, to be copied by hand
    return;
  }
  const says = find('copy').firstElementChild;
  const before = says.textContent;
  if (before === find('copy').dataset.copied) return;
  says.textContent = find('copy').dataset.copied;
  setTimeout(() => { says.textContent = before; }, 2000);
}

function showClock() {
  if (!sale) return;
  const now = serverNow();
  const starts = Date.parse(sale.starts_at);
  const secondsLeft = Math.max(0, Math.ceil(((now < starts ? starts : Date.parse(sale.ends_at)) - now) / 1000));
  const parts = {
    days: Math.floor(secondsLeft / 86400), hours: Math.floor(secondsLeft / 3600) % 24,
    minutes: Math.floor(secondsLeft / 60) % 60, seconds: secondsLeft % 60,
  };
  for (const [name, value] of Object.entries(parts)) {
    const at = main.querySelector(`[data-part=${name}]`);
    const text = name === 'days' ? String(value) : String(value).padStart(2, '0');
    if (at.textContent !== text) at.textContent = text;
  }
  find('days').hidden = !parts.days;
  main.querySelector('.clock').toggleAttribute('data-last', secondsLeft <= 60);
}

async function keepLooking() {
  for (;;) {
    await look();
    if (!kept.won && !claiming && sale && Date.parse(sale.ends_at) > serverNow()) await getTicket();
    const isFar = sale && Date.parse(sale.starts_at) - serverNow() > 60000;
    const ms = kept.won || document.hidden || isFar ? 15000 : 2000;
    await new Promise((resolve) => { setTimeout(resolve, ms * (0.75 + Math.random() / 2)); });
  }
}

if (campaign) {
  load();
  save({});
  find('grab').addEventListener('click', claim);
  find('copy').addEventListener('click', copyCode);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
  addEventListener('online', () => { wake(); look(); });
  addEventListener('offline', () => { if (claiming) trying = 'offline'; show(); });
  addEventListener('storage', (event) => { if (event.key === place) { load(); show(); } });
  setInterval(show, 250);
  show();
  if (kept.asked && !kept.won) claim(); // a reload in the middle: the same question once more
  keepLooking();
}
