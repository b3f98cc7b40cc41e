'use strict';
// What a browser can do and HTML can't: tell its time zone, and say that a page is no longer up to date.

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
