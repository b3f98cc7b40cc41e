'use strict';
// What a browser can do and HTML can't: tell its time zone, print, and read a code with the camera.

const find = (selector) => document.querySelector(selector);

const zone = find('[data-zone]');
if (zone) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || '';

const print = find('[data-print]');
if (print) {
  print.hidden = false;
  print.addEventListener('click', () => window.print());
}

const scan = find('[data-scan]');
if (scan && 'BarcodeDetector' in window && navigator.mediaDevices) offerToScan();

function offerToScan() {
  const box = find('[data-camera]');
  const video = box.querySelector('video');
  const says = find('[data-camera-says]');
  const code = find('#code');
  let stream = null;
  let asked = 0; // which press of the button: what an earlier one still finds does not count

  scan.hidden = false;
  scan.addEventListener('click', start);
  find('[data-scan-stop]').addEventListener('click', () => stop(scan));

  async function start() {
    const mine = ++asked;
    box.hidden = false;
    scan.disabled = true;
    says.textContent = 'Hold the code in front of the camera.';
    try {
      const found = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      if (mine !== asked) return end(found);
      stream = found;
      video.srcObject = stream;
      await video.play();
      await look(mine, new BarcodeDetector());
    } catch (error) {
      if (mine !== asked) return;
      end(stream);
      scan.disabled = false;
      says.textContent = 'The camera can\u2019t be used: allow it in the browser, or type the code.';
    }
  }

  async function look(mine, detector) {
    while (mine === asked) {
      const [first] = await detector.detect(video);
      if (mine === asked && first && first.rawValue) {
        code.value = textOf(first.rawValue);
        return stop(code);
      }
      await new Promise((again) => setTimeout(again, 150));
    }
  }

  function stop(next) {
    asked += 1;
    end(stream);
    stream = null;
    video.srcObject = null;
    box.hidden = true;
    scan.disabled = false;
    next.focus();
  }
}

function end(stream) {
  if (stream) stream.getTracks().forEach((track) => track.stop());
}

// A picture may hold the code alone, or an address that ends in it.
function textOf(raw) {
  const text = raw.trim();
  return /^https?:/.test(text) ? text.replace(/[/?#]+$/, '').split(/[/=?#]/).pop() : text;
}
