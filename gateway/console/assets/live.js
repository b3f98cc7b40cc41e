'use strict';
// Live: follows the stream of frames. Figures and charts are drawn at most FRAMES times a second, however many frames come
// (twice, for who wants little to move),
// and a chart keeps at most POINTS points: times closer together than one of them are drawn as one.
(() => {
  const root = document.getElementById('live');
  if (!root) return;
  const FRAMES = 30, POINTS = 1200, SPAN_MS = 3600e3, STEP_MS = 250, STALE_MS = 5000, GAP_S = 10, BACK_MS = 60e3;
  const BACK_OFF_MS = [1000, 30000], HIDDEN_MS = 30e3, CALM_FRAMES = 2;
  const calm = matchMedia('(prefers-reduced-motion: reduce)'), perSecond = () => (calm.matches ? CALM_FRAMES : FRAMES);
  const { campaign, locale, zone, soldOut, long } = root.dataset;
  const states = JSON.parse(root.dataset.states), badges = JSON.parse(root.dataset.badges);
  const outcomes = JSON.parse(root.dataset.outcomes);
  const fine = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat(locale, { notation: 'compact', maximumSignificantDigits: 3 });
  const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: zone });
  const stale = document.querySelector('[data-stale]');
  const hold = document.querySelector('[data-pause]');
  const $ = (selector, within = root) => within.querySelector(selector);

  const number = value => (value == null ? '–' : (Math.abs(value) < 100 ? fine : whole).format(value));
  const two = value => String(value).padStart(2, '0');
  const left = (stock, seconds) => {
    if (stock === 0) return soldOut;
    if (seconds == null) return '–';
    if (seconds >= 86400) return long;
    const all = Math.round(seconds), hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
  };
  const put = (place, text) => { // into the text node that is there: thirty times a second others would be left behind
    const node = place?.firstChild;
    if (node?.nodeType === Node.TEXT_NODE) {
      if (node.data !== text) node.data = text;
    } else if (place) place.textContent = text;
  };

  // What is drawn: columns of times and values; a step holds means of rates, the worst of latency and lag, the last stock.
  const COLUMNS = ['won', 'again', 'sold_out', 'refused', 'busy', 'stock', 'p50_ms', 'p99_ms', 'lag_s'];
  const MERGE = { stock: (a, b) => b, p50_ms: Math.max, p99_ms: Math.max, lag_s: Math.max };
  const course = { times: [], counts: [], step: STEP_MS };
  for (const name of COLUMNS) course[name] = [];
  const merged = (name, a, na, b, nb) => {
    if (a == null || b == null) return a ?? b ?? null;
    return name in MERGE ? MERGE[name](a, b) : (a * na + b * nb) / (na + nb);
  };
  function add(frame) {
    const sale = campaign ? frame.sales.find(each => each.id === campaign) : frame;
    const of = name => (name === 'stock' ? sale?.stock : name === 'lag_s' ? sale?.lag_s
      : name in MERGE ? frame[name] : frame.groups?.[name]) ?? null;
    const at = Math.floor(frame.at_ms / course.step) * course.step / 1000, last = course.times.length - 1;
    if (last >= 0 && at < course.times[last]) return; // an older one, from before a break of the stream
    if (last >= 0 && at === course.times[last]) {
      for (const name of COLUMNS) course[name][last] = merged(name, course[name][last], course.counts[last], of(name), 1);
      course.counts[last] += 1;
    } else {
      if (last >= 0 && at - course.times[last] > Math.max(GAP_S, 2 * course.step / 1000)) push((course.times[last] + at) / 2, () => null);
      push(at, of);
    }
    while (course.times.length && course.times[0] < (frame.at_ms - SPAN_MS) / 1000) shift();
    if (course.times.length > POINTS) halve();
  }
  function clear() {
    course.times = []; course.counts = [];
    for (const name of COLUMNS) course[name] = [];
  }
  function push(at, of) {
    course.times.push(at);
    course.counts.push(1);
    for (const name of COLUMNS) course[name].push(of(name));
  }
  function shift() {
    course.times.shift();
    course.counts.shift();
    for (const name of COLUMNS) course[name].shift();
  }
  function halve() {
    course.step *= 2;
    const old = { ...course, times: course.times, counts: course.counts };
    clear();
    old.times.forEach((time, i) => {
      const at = Math.floor(time * 1000 / course.step) * course.step / 1000, last = course.times.length - 1;
      if (last >= 0 && course.times[last] === at) {
        for (const name of COLUMNS) course[name][last] = merged(name, course[name][last], course.counts[last], old[name][i], old.counts[i]);
        course.counts[last] += old.counts[i];
      } else {
        push(at, name => old[name][i]);
        course.counts[course.counts.length - 1] = old.counts[i];
      }
    });
  }

  const groups = JSON.parse($('.charts').dataset.groups);
  const CHARTS = {
    answers: groups.map(([key, says], at) => [key, says, ['--good', '--accent', '--quiet', '--note', '--bad'][at]]),
    stock: [['stock', '', '--accent']],
    latency: [['p50_ms', 'p50', '--accent'], ['p99_ms', 'p99', '--bad']],
    lag: [['lag_s', '', '--note']],
  };
  const plots = [];
  const colour = name => {
    const probe = document.createElement('i'); // light-dark() is only resolved in a property that is used
    probe.style.color = `var(${name})`;
    root.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  // A value with none before and after it makes no line: it is a point.
  const lone = ({ data, series }, of) => {
    const [from, to] = series[0].idxs, values = data[of], found = [];
    for (let i = from; i <= to; i++) if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
    return found.length ? found : null;
  };
  const columns = lines => [course.times, ...lines.map(([key]) => course[key])];
  function draw() {
    for (const plot of plots.splice(0)) plot.destroy();
    const grid = { stroke: colour('--line'), width: 1 }, stroke = colour('--quiet'), font = '11px system-ui, sans-serif';
    for (const [key, lines] of Object.entries(CHARTS)) {
      const place = $(`[data-chart=${key}] .plot`);
      const axis = { stroke, font, grid, ticks: { show: false } };
      const plot = new uPlot({
        width: Math.max(200, place.clientWidth), height: place.clientHeight || 190, legend: { show: false },
        cursor: { show: false }, padding: [8, 28, 0, 0],
        tzDate: at => uPlot.tzDate(new Date(at * 1000), zone),
        scales: { x: { time: true }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] } },
        axes: [
          { ...axis, size: 26, space: 70, values: (u, at) => at.map(s => (s > u.scales.x.max ? '' : clock.format(s * 1000))) },
          { ...axis, size: 54, space: 34, values: (u, at) => at.map(value => short.format(value)) },
        ],
        series: [{}, ...lines.map(([, says, name]) => ({ label: says, stroke: colour(name), width: 1.75, points: { show: false, filter: lone } }))],
      }, columns(lines), place);
      plots.push(Object.assign(plot, { lines, place }));
      let keys = place.nextElementSibling;
      if (lines.length > 1 && !keys) {
        keys = document.createElement('p');
        keys.className = 'keys';
        for (const [, says, name] of lines) {
          const one = document.createElement('span'), mark = document.createElement('i');
          mark.style.background = `var(${name})`;
          one.append(mark, says);
          keys.append(one);
        }
        place.after(keys);
      }
    }
  }
  function charts() {
    const script = document.createElement('script');
    script.src = root.dataset.charts;
    script.onload = () => {
      $('.charts').hidden = false;
      draw();
      due();
      matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
      new ResizeObserver(() => plots.forEach(plot => {
        const { clientWidth: width, clientHeight: height } = plot.place;
        if (width && height && (plot.width !== width || plot.height !== height)) plot.setSize({ width, height });
      })).observe(root);
    };
    document.head.append(script);
  }

  // The page: texts are changed where they differ, rows are made of the template that the page brought.
  const shownFigures = root.querySelectorAll('[data-figure]'), shownAway = root.querySelectorAll('[data-away]');
  function figures(frame) {
    const sale = campaign && frame.sales.find(each => each.id === campaign);
    for (const figure of shownFigures) {
      const key = figure.dataset.figure, of = 'ofSale' in figure.dataset ? sale : frame;
      if (!of) continue;
      put($('[data-value]', figure), key === 'left_s' ? left(of.stock, of.left_s) : number(of[key]));
      if (key === 'lag_s') figure.classList.toggle('bad', of.lag_s == null || of.lag_s >= 5);
      if (key === 'breaks') figure.classList.toggle('bad', of.breaks !== 0);
    }
    for (const away of shownAway) away.hidden = frame[away.dataset.away];
    const badge = document.querySelector('[data-state]');
    if (badge && sale) {
      put(badge, states[sale.state]);
      badge.className = `badge ${badges[sale.state]}`;
    }
  }
  function rows(table, template, key, wanted, fill) {
    if (!table) return;
    const body = table.tBodies[0], there = new Map([...body.rows].map(row => [row.dataset[key], row]));
    const stay = new Set(wanted.map(([name]) => name));
    for (const [name, row] of there) if (!stay.has(name)) row.remove(); // first: a row that is moved loses the focus
    wanted.forEach(([name, each], at) => {
      let row = there.get(name);
      if (!row) {
        row = template.content.firstElementChild.cloneNode(true);
        row.dataset[key] = name;
      }
      if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
      fill(row, each, name);
    });
  }
  function tables(frame) {
    rows($('#sale-rows'), $('#sale-row'), 'sale', frame.sales.map(each => [each.id, each]), (row, sale) => {
      const link = $('[data-is=name]', row), bar = $('progress', row);
      if (!link.textContent) link.href = link.getAttribute('href').replace(/\/live\/(?=\?|$)/, `/live/${encodeURIComponent(sale.id)}`);
      put(link, sale.name);
      put($('[data-is=state]', row), states[sale.state]);
      for (const name of ['per_s', 'claimed', 'stock', 'lag_s']) put($(`[data-is=${name}]`, row), number(sale[name]));
      put($('[data-is=left_s]', row), left(sale.stock, sale.left_s));
      bar.max = sale.stock + sale.claimed || 1;
      bar.value = sale.stock;
    });
    if ($('[data-none]')) {
      $('[data-none]').hidden = frame.sales.length > 0 || !frame.has_redis;
      $('[data-some]').hidden = !frame.sales.length;
      $('[data-more]').hidden = !frame.has_more;
    }
    const hasClaims = Object.keys(frame.totals).length > 0;
    $('[data-no-claims]').hidden = hasClaims;
    $('[data-claims]').hidden = !hasClaims;
    rows($('#outcome-rows'), $('#outcome-row'), 'outcome', Object.entries(frame.totals), (row, total, name) => {
      put($('th', row), outcomes[name] ?? name);
      put($('[data-is=rate]', row), number(frame.rates?.[name] ?? 0));
      put($('[data-is=total]', row), number(total));
    });
  }

  // Drawn when there is something new, and no sooner than perSecond() allows: between two frames of a sale nothing runs here.
  let newest = null, isDue = false, paused = false, drawnAt = -Infinity, heardAt = performance.now(), seen = 0, drawn = 0;
  function due() {
    if (isDue || paused) return;
    isDue = true;
    setTimeout(() => requestAnimationFrame(show), drawnAt + 900 / perSecond() - performance.now()); // none while nobody sees it
  }
  function show(now) {
    if (now - drawnAt < 1000 / perSecond() - 1) return requestAnimationFrame(show);
    isDue = false;
    if (paused) return;
    drawnAt = now;
    drawn += 1;
    if (newest) {
      figures(newest);
      tables(newest);
    }
    for (const plot of plots) plot.setData(columns(plot.lines));
    root.dataset.seen = seen;
    root.dataset.drawn = drawn;
    root.dataset.points = course.times.length;
  }
  setInterval(() => { if (!paused) stale.hidden = performance.now() - heardAt < STALE_MS; }, 500);

  // The stream. A browser that lost it comes back by itself; where it was refused, it is asked again, less and less often.
  let source = null, wait = BACK_OFF_MS[0], lastAt = 0;
  const heard = event => {
    heardAt = performance.now();
    wait = BACK_OFF_MS[0];
    return JSON.parse(event.data);
  };
  function take(frame) {
    if (frame.at_ms < lastAt - BACK_MS) clear(); // the server's clock was set back
    else if (frame.at_ms <= lastAt) return false;
    lastAt = frame.at_ms;
    seen += 1;
    add(frame);
    due();
    return true;
  }
  function listen() {
    if (source && source.readyState !== EventSource.CLOSED) return;
    source = new EventSource(root.dataset.stream);
    source.addEventListener('past', event => heard(event).forEach(take));
    source.addEventListener('frame', event => {
      const frame = heard(event);
      if (take(frame)) newest = frame;
    });
    source.addEventListener('over', () => location.reload());
    source.addEventListener('error', async () => {
      if (source.readyState !== EventSource.CLOSED) return;
      const pause = wait * (0.5 + Math.random());
      wait = Math.min(wait * 2, BACK_OFF_MS[1]);
      try { // who is no longer signed in is led to where he can be
        if ((await fetch(root.dataset.stream, { redirect: 'manual' })).type === 'opaqueredirect') return location.reload();
      } catch (error) {
        heardAt = -Infinity;
      }
      setTimeout(() => { if (!isAway) listen(); }, pause);
    });
  }
  // A browser has six connections to a host: pages that nobody sees must not hold them, or no other page comes.
  let isAway = false, leaving = 0;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(leaving);
    if (document.hidden) leaving = setTimeout(() => { isAway = true; source.close(); }, HIDDEN_MS);
    else {
      isAway = false;
      heardAt = performance.now();
      listen();
    }
  });

  hold.hidden = false;
  hold.addEventListener('click', () => {
    paused = !paused;
    hold.setAttribute('aria-pressed', String(paused));
    due();
  });
  addEventListener('pagehide', () => source.close());
  addEventListener('pageshow', event => { if (event.persisted) listen(); });
  charts();
  listen();
})();
