'use strict';
// What a browser can do and HTML can't: tell its time zone, say that a page is no longer up to date, and bring it up to date
// without getting in anybody's way.

const zone = document.querySelector('[data-zone]');
if (zone) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || '';

const stale = document.querySelector('[data-stale]');
if (stale) {
  const show = (is) => { stale.hidden = !is; };
  for (const name of ['htmx:sendError', 'htmx:responseError', 'htmx:timeout']) {
    document.body.addEventListener(name, () => show(true));
  }
  document.body.addEventListener('htmx:afterOnLoad', (event) => {
    if (event.detail.successful) show(false);
  });
}

// What was done is said once: an address that is reloaded, sent on or gone back to does not say it again.
const address = new URL(location.href);
if (address.searchParams.has('done')) {
  address.searchParams.delete('done');
  history.replaceState(history.state, '', address);
}

// A page that nobody sees asks for nothing every few seconds; and one that does keeps nobody signed in.
document.body.addEventListener('htmx:configRequest', (event) => {
  if (!event.target.matches('[hx-trigger^=every]')) return;
  if (document.hidden) event.preventDefault();
  event.detail.headers['X-By-Itself'] = '1';
});

// Where somebody is in a form, points at it, has typed into it or has opened something, nothing comes by itself: a button that
// moves away under a finger leaves another one there. What somebody presses, or has marked to copy it, stays until he is done:
// a link that goes between the press and the release is not followed. And what comes along as it was before stays what it is.
const isTyped = (piece) => [...piece.querySelectorAll('input:not([type=hidden]), textarea')]
  .some((each) => each.value !== each.defaultValue);
const isAt = (piece) => piece.querySelector('form:hover, form:focus-within, details[open]') || isTyped(piece);
const isMarked = (piece) => !getSelection().isCollapsed && piece.contains(getSelection().anchorNode);
const isInHand = (piece) => piece.matches(':active') || isMarked(piece);
let byItself = false;
for (const name of ['htmx:beforeSwap', 'htmx:oobBeforeSwap']) {
  document.body.addEventListener(name, ({ detail }) => {
    const { target, fragment } = detail, isSame = fragment?.firstElementChild?.isEqualNode(target);
    if (detail.requestConfig) byItself = 'X-By-Itself' in detail.requestConfig.headers; // what comes along has none
    if (isSame || (byItself && isInHand(target)) || (target.matches('[data-calm]') && isAt(target))) detail.shouldSwap = false;
  });
}

// What was typed before anything here could hear it, or comes back with a page that is gone back to, is heard as well.
addEventListener('DOMContentLoaded', () => {
  for (const form of document.querySelectorAll('form.wizard')) if (isTyped(form)) form.dispatchEvent(new Event('input'));
});

// Who types on in a form that comes anew with the answer to what he chose before keeps what he has typed since.
let typed = [];
document.body.addEventListener('htmx:beforeSwap', ({ detail: { requestConfig: asked, target } }) => {
  const fields = asked && target.contains(asked.elt) ? asked.elt.querySelectorAll('input[id]') : [];
  typed = [...fields].filter((each) => each.value !== asked.formData.get(each.name)).map(({ id, value }) => ({ id, value }));
});
document.body.addEventListener('htmx:afterSwap', () => {
  for (const { id, value } of typed.splice(0)) {
    const field = document.getElementById(id);
    if (field) field.value = value;
  }
});

// Who has keys alone stays where he is when a piece of the page is brought up to date. What has an id htmx finds again; all else
// is found by what it is. Where it is gone, what it was in has the focus, so that Tab goes on from there.
let held = null;
const sign = (each) => [each.tagName, each.name, each.value, each.getAttribute('href'), each.getAttribute('aria-label')].join();
const alike = (piece, at) => [...piece.querySelectorAll(at.tagName)].filter((each) => sign(each) === sign(at));
document.body.addEventListener('htmx:beforeSwap', () => {
  const at = document.activeElement, around = [];
  for (let up = at?.parentElement; up && up.id !== 'main'; up = up.parentElement) if (up.id) around.push(up.id);
  held = at && at !== document.body && { at, around: [...around, 'main'], which: alike(document, at).indexOf(at) };
});
document.body.addEventListener('htmx:afterSwap', () => {
  const is = held;
  held = null;
  if (!is || is.at.isConnected || document.activeElement !== document.body) return;
  const piece = is.around.map((id) => document.getElementById(id)).find(Boolean);
  const same = alike(document, is.at);
  const to = same[is.which] ?? same.at(-1) ?? piece;
  if (!to) return;
  if (to === piece && !to.hasAttribute('tabindex')) to.tabIndex = -1;
  to.focus({ preventScroll: true });
});
