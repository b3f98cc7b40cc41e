// Draws the charts of the sheet with uPlot: one time axis, one cursor, the marks over all of them.
(() => {
  const sheet = JSON.parse(document.getElementById('sheet').textContent);
  const root = document.documentElement;
  root.classList.add('js');
  const times = sheet.at_s;
  if (!times.length) return;

  const LEFT = 54, RIGHT = 46, LANES = 2, LANE = 14; // px; one width for all axes, so that the times of a column meet
  const PAPER = 318; // px, half an A4
  const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';
  const SPAN = [times[0], times[times.length - 1] + sheet.step_s]; // to the end of the last second
  const FLOOR = 0.05; // ms: a scale of decades has no zero
  const spoken = document.getElementById('spoken'), whole = document.getElementById('whole');
  const plots = [];

  const colour = name => getComputedStyle(root).getPropertyValue('--' + name).trim();
  const number = value => {
    if (value === null || value === undefined) return '–';
    const size = Math.abs(value);
    const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : size >= 0.1 ? 2 : 3;
    return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  };
  const tick = value => {
    if (Math.abs(value) >= 1e6) return value / 1e6 + 'M';
    return value.toLocaleString('en', { maximumFractionDigits: 3 });
  };
  const clock = at => {
    const s = Math.max(0, Math.floor(at)), two = n => String(n).padStart(2, '0');
    const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  };
  const marksAt = index => {
    const from = times[index], to = index + 1 < times.length ? times[index + 1] : from + sheet.step_s;
    return sheet.marks.filter(mark => mark[0] >= from && mark[0] < to).map(mark => mark[1]);
  };

  // The values to draw: a pile is drawn from its top down, each layer to the ground over the one before.
  function drawn(chart, shown) {
    const above = value => (value === null ? null : Math.max(value, FLOOR));
    if (chart.scale === 'log') return chart.lines.map(line => line.values.map(above));
    if (chart.kind !== 'pile') return chart.lines.map(line => line.values);
    const sums = times.map(() => 0);
    return chart.lines.map((line, at) => {
      if (!shown[at]) return times.map(() => null);
      line.values.forEach((value, i) => { sums[i] += value || 0; });
      // A layer of nothing is no line along the top of the others.
      return sums.map((sum, i) => ([i - 1, i, i + 1].some(j => line.values[j] > 0) ? sum : null));
    });
  }
  const data = (chart, shown) => {
    const columns = drawn(chart, shown);
    return [times, ...(chart.kind === 'pile' ? columns.reverse() : columns)];
  };
  const indexOf = (chart, at) => (chart.kind === 'pile' ? chart.lines.length - at : at + 1); // of a line, as uPlot counts

  const lonely = (u, si, show) => { // a value between two gaps has no line, so it gets a dot
    if (show) return null;
    const values = u.data[si], found = [];
    for (let i = 0; i < values.length; i++)
      if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
    return found.length ? found : null;
  };

  function seriesOf(chart, shown) {
    const series = chart.lines.map((line, at) => {
      const stroke = colour(line.colour), one = {
        label: line.name, show: shown[at], scale: line.side === 'right' ? 'right' : 'y', stroke, width: 1.75,
        points: { show: false, filter: lonely, size: 5, fill: stroke, stroke },
      };
      if (line.style === 'area') one.fill = stroke + '2e';
      if (line.style === 'step') one.paths = uPlot.paths.stepped({ align: 1 });
      if (line.style === 'dashes') Object.assign(one, { dash: [5, 4], width: 1.25 });
      if (chart.kind === 'pile') Object.assign(one, { fill: stroke, width: 1 });
      return one;
    });
    return [{}, ...(chart.kind === 'pile' ? series.reverse() : series)];
  }

  function scalesOf(chart) {
    const limits = chart.limits.map(limit => limit.value);
    const top = max => Math.max(max, ...limits.filter(limit => limit < 2.5 * max));
    const level = (u, min, max) => [Math.min(0, min * 1.06 || 0), max > 0 ? top(max) * 1.06 : 1]; // what is below zero is seen
    const decades = (u, min, max) => {
      const low = Math.max(min || 1, FLOOR), high = Math.max(top(max || 1), low);
      return [low / 1.4, Math.max(high * 1.3, low * 4)];
    };
    return {
      x: { time: false, range: (u, min, max) => (max > min ? [min, max] : [min - 0.5, min + 0.5]) },
      y: chart.scale === 'log' ? { distr: 3, range: decades } : { range: level },
      right: { range: level },
    };
  }

  function axesOf(chart) {
    const shared = { stroke: colour('soft'), font: FONT, grid: { stroke: colour('grid'), width: 1 }, ticks: { show: false } };
    const seconds = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
    const values = (u, splits) => splits.map(value => (value === null ? '' : tick(value)));
    const ones = u => {
      const { min, max } = u.scales.y, found = [];
      for (let ten = 10 ** Math.floor(Math.log10(min)); ten <= max; ten *= 10)
        for (const times of max / min > 3000 ? [1] : max / min > 60 ? [1, 3] : [1, 2, 5])
          if (ten * times >= min && ten * times <= max) found.push(Number((ten * times).toPrecision(1)));
      return found;
    };
    const left = { ...shared, scale: 'y', size: LEFT, gap: 6, values };
    if (chart.scale === 'log') Object.assign(left, { splits: ones, filter: (u, splits) => splits });
    else left.space = 34;
    const axes = [{ ...shared, size: 26, gap: 5, space: 46, incrs: seconds, values: (u, at) => at.map(s => clock(s)) }, left];
    if (chart.lines.some(line => line.side === 'right'))
      axes.push({ ...shared, scale: 'right', side: 1, size: RIGHT, gap: 6, space: 34, values, grid: { show: false } });
    return axes;
  }

  // Vertical lines, and as many of their labels as have room above the plot; all of them are in a table below.
  function drawMarks(u) {
    const { ctx, bbox } = u, ratio = uPlot.pxRatio, ends = Array(LANES).fill(-Infinity);
    const seen = sheet.marks.filter(mark => mark[0] >= u.scales.x.min && mark[0] <= u.scales.x.max);
    ctx.save();
    ctx.font = `${10.5 * ratio}px ${FONT.split('px ')[1]}`;
    ctx.textBaseline = 'alphabetic';
    ctx.strokeStyle = ctx.fillStyle = colour('mark');
    ctx.lineWidth = ratio;
    ctx.textAlign = 'left';
    const labels = [];
    for (const [at, says] of seen) {
      const x = Math.round(u.valToPos(at, 'x', true)) + (ratio % 2) / 2;
      const text = says.length > 26 ? says.slice(0, 25) + '…' : says, wide = ctx.measureText(text).width;
      const start = Math.min(x + 3 * ratio, bbox.left + bbox.width - wide);
      const lane = ends.findIndex(end => end + 8 * ratio < start);
      ctx.globalAlpha = 0.8;
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, lane < 0 ? bbox.top : bbox.top - (LANES - lane) * LANE * ratio + 4 * ratio);
      // So many that they would hide what is drawn are short, but for those with a label.
      ctx.lineTo(x, bbox.top + (lane < 0 && seen.length > 40 ? 6 * ratio : bbox.height));
      ctx.stroke();
      if (lane < 0) continue;
      ends[lane] = start + wide;
      labels.push([text, start, wide, bbox.top - (LANES - 1 - lane) * LANE * ratio - 4 * ratio]);
    }
    ctx.globalAlpha = 1;
    for (const [text, start, wide, y] of labels) {
      ctx.fillStyle = colour('card');
      ctx.fillRect(start - ratio, y - 9 * ratio, wide + 2 * ratio, 12 * ratio);
      ctx.fillStyle = colour('mark');
      ctx.fillText(text, start, y);
    }
    ctx.restore();
  }

  function drawLimits(u, chart) {
    const { ctx, bbox } = u, ratio = uPlot.pxRatio;
    for (const limit of chart.limits) {
      const y = Math.round(u.valToPos(limit.value, 'y', true));
      if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour('bad');
      ctx.lineWidth = ratio;
      ctx.font = `${10.5 * ratio}px ${FONT.split('px ')[1]}`;
      ctx.textAlign = 'right';
      ctx.setLineDash([6 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      const right = bbox.left + bbox.width - 4 * ratio, wide = ctx.measureText(limit.says).width;
      const base = y + (y - bbox.top < 16 * ratio ? 13 : -5) * ratio;
      ctx.fillStyle = colour('card');
      ctx.fillRect(right - wide - 2 * ratio, base - 10 * ratio, wide + 4 * ratio, 13 * ratio);
      ctx.fillStyle = colour('bad');
      ctx.fillText(limit.says, right, base);
      ctx.restore();
    }
  }

  function legendOf(chart, place, toggle) {
    const when = document.createElement('span');
    when.className = 'when';
    const buttons = chart.lines.map((line, at) => {
      const button = document.createElement('button'), swatch = document.createElement('i');
      const name = document.createElement('span'), figure = document.createElement('b');
      button.type = 'button';
      button.setAttribute('aria-pressed', 'true');
      button.title = `${line.name}: show or hide`;
      swatch.className = `swatch ${line.colour}`;
      name.className = 'of';
      name.textContent = line.name;
      button.append(swatch, name, figure);
      button.addEventListener('click', () => button.setAttribute('aria-pressed', String(toggle(at))));
      return { button, figure };
    });
    place.replaceChildren(when, ...buttons.map(each => each.button));
    return index => {
      const marks = index === null ? [] : marksAt(index);
      when.textContent = index === null ? chart.rest_says : [clock(times[index]), ...marks].join(' · ');
      when.title = when.textContent;
      buttons.forEach((each, at) => {
        const line = chart.lines[at];
        each.figure.textContent = index === null ? line.rest : number(line.values[index]);
      });
    };
  }

  const say = (chart, index) => {
    const read = chart.lines.map(line => `${line.name} ${number(line.values[index])}`);
    spoken.textContent = [clock(times[index]), ...marksAt(index), ...read].join(', ');
  };
  const zoom = (min, max) => {
    const from = Math.max(SPAN[0], min), to = Math.min(SPAN[1], max);
    if (to - from >= sheet.step_s) plots.forEach(plot => plot.u.setScale('x', { min: from, max: to }));
  };
  const unzoom = () => zoom(...SPAN);

  function keys(plot) {
    plot.place.addEventListener('keydown', pressed => {
      const { u, chart } = plot, last = times.length - 1, now = u.cursor.idx;
      const { min, max } = u.scales.x, middle = now == null ? (min + max) / 2 : times[now];
      const page = Math.max(1, Math.round(times.length / 20));
      const to = {
        ArrowRight: now == null ? 0 : now + 1, ArrowLeft: now == null ? last : now - 1,
        PageUp: (now ?? 0) + page, PageDown: (now ?? last) - page, Home: 0, End: last,
      }[pressed.key];
      if (to !== undefined) {
        const index = Math.min(last, Math.max(0, to));
        if (times[index] < min || times[index] > max) unzoom();
        u.setCursor({ left: u.valToPos(times[index], 'x'), top: u.over.clientHeight / 2 }, true, true);
        say(chart, index);
      } else if (pressed.key === '+') zoom(middle - (max - min) / 4, middle + (max - min) / 4);
      else if (pressed.key === '-') zoom(middle - (max - min), middle + (max - min));
      else if (pressed.key === 'Escape') {
        unzoom();
        u.setCursor({ left: -10, top: -10 }, true, true);
      } else return;
      pressed.preventDefault();
    });
  }

  function draw(plot, width, height) {
    const { chart, place, shown } = plot;
    const { min, max } = plot.u ? plot.u.scales.x : { min: SPAN[0], max: SPAN[1] };
    if (plot.u) plot.u.destroy();
    const labels = sheet.marks.length ? LANES * LANE + 4 : 10;
    const right = chart.lines.some(line => line.side === 'right') ? 0 : plot.roomy ? RIGHT : 14;
    plot.u = new uPlot({
      width, height, padding: [labels, right, 0, 0], legend: { show: false },
      cursor: {
        y: false, points: { size: 7 }, drag: { x: true, y: false, dist: 6 },
        sync: { key: 'run', setSeries: false, scales: ['x', null] },
      },
      scales: scalesOf(chart), axes: axesOf(chart), series: seriesOf(chart, shown),
      hooks: {
        setCursor: [u => plot.legend(u.cursor.left >= 0 ? u.cursor.idx ?? null : null)],
        setScale: [(u, key) => {
          if (key === 'x') whole.hidden = u.scales.x.min <= SPAN[0] && u.scales.x.max >= SPAN[1];
        }],
        draw: [u => { drawMarks(u); drawLimits(u, chart); }],
      },
    }, data(chart, shown), place);
    plot.u.over.addEventListener('dblclick', unzoom);
    plot.u.setScale('x', { min, max });
    plot.legend(null);
  }

  const narrow = matchMedia('(max-width: 820px)'), phone = matchMedia('(max-width: 560px)');
  function drawAll() {
    const paper = root.classList.contains('on-paper');
    for (const plot of plots) {
      plot.roomy = plot.at % 2 === 0 && !narrow.matches; // its column has an axis on the right
      draw(plot, paper ? PAPER : plot.place.clientWidth, paper ? 150 : phone.matches ? 206 : 236);
    }
  }

  for (const place of document.querySelectorAll('.plot')) {
    const at = Number(place.dataset.chart), chart = sheet.charts[at];
    const plot = { at, chart, place, shown: chart.lines.map(() => true), u: null };
    plot.legend = legendOf(chart, place.nextElementSibling, line => {
      plot.shown[line] = !plot.shown[line];
      const index = indexOf(chart, line);
      if (chart.kind === 'pile') plot.u.setData(data(chart, plot.shown), false);
      plot.u.setSeries(index, { show: plot.shown[line] });
      plot.u.redraw(true, true);
      return plot.shown[line];
    });
    keys(plot);
    plots.push(plot);
  }
  drawAll();
  whole.addEventListener('click', unzoom);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  let width = root.clientWidth;
  new ResizeObserver(() => {
    if (root.clientWidth === width || root.classList.contains('on-paper')) return;
    width = root.clientWidth;
    drawAll();
  }).observe(root);
  addEventListener('beforeprint', () => { root.classList.add('on-paper'); drawAll(); });
  addEventListener('afterprint', () => { root.classList.remove('on-paper'); drawAll(); });
})();
