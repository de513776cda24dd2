/* SPDX-License-Identifier: BSD-2-Clause */
/* app.js - draws what /api/v1/events tells; everything from outside goes in as text, never as HTML. */
"use strict";

const POINTS = 300; /* of a chart: five minutes at one look a second */
const CLIENTS = 64; /* in the table and on the ring: as many as have a name of their own in /metrics */
const history = new Map(); /* bus -> points */
let busses = [], chosen = null;

const $ = (id) => document.getElementById(id);

function element(name, attributes, ...children) {
	const e = document.createElement(name);
	for (const [k, v] of Object.entries(attributes || {}))
		e.setAttribute(k, v);
	e.append(...children);
	return e;
}

function si(x, unit) {
	const powers = ["", "k", "M", "G", "T", "P"];
	let i = 0;
	while (x >= 999.5 && i < powers.length - 1) {
		x /= 1000;
		i++;
	}
	return `${i ? x.toPrecision(3) : x < 10 ? +x.toFixed(1) : Math.round(x)} ${powers[i]}${unit || ""}`.trimEnd();
}

function bytes(x) {
	const powers = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	while (x >= 1024 && i < powers.length - 1) {
		x /= 1024;
		i++;
	}
	return `${i && x < 100 ? x.toFixed(1) : Math.round(x)} ${powers[i]}`;
}

function seconds(x) {
	if (x === null || x === undefined)
		return "-";
	if (x < 1)
		return `${Math.round(x * 1000)} ms`;
	if (x < 120)
		return `${x.toFixed(1)} s`;
	if (x < 7200)
		return `${Math.round(x / 60)} min`;
	return `${Math.round(x / 3600)} h`;
}

const count = (x) => x === null ? "-" : x.toLocaleString("en");

/* A client that would lose frames within a second, or has lost some since the look before. */
function late(client, before) {
	return client.overrun_in_seconds !== null && client.overrun_in_seconds < 1 ||
		before !== undefined && client.lost > before;
}

/* --- what is kept from look to look ------------------------------------------------------------ */

const key = (c) => `${c.name} ${c.pid} ${c.uid}`;

function remember(bus) {
	const past = history.get(bus.bus) || { points: [], lost: new Map(), incarnation: null, time: 0 };
	const rates = bus.rates ? bus.rates.now : { frames: 0, bits: 0, kernel_drops: 0 };
	const time = Date.parse(bus.time);
	let lost = 0;
	past.late = new Set();
	const told = new Map();
	for (const c of bus.clients) {
		const before = past.lost.get(key(c));
		if (before !== undefined && c.lost > before)
			lost += c.lost - before;
		if (late(c, before))
			past.late.add(key(c));
		told.set(key(c), c.lost);
	}
	past.lost = told;
	const span = past.time ? Math.max((time - past.time) / 1000, 0.001) : 1;
	past.time = time;
	past.points.push({ time, frames: rates.frames, bits: rates.bits, kernel: rates.kernel_drops,
		lost: lost / span });
	if (past.points.length > POINTS)
		past.points.shift();
	history.set(bus.bus, past);
}

/* --- drawing ------------------------------------------------------------------------------------ */

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
	const e = document.createElementNS(SVG, name);
	for (const [k, v] of Object.entries(attributes))
		e.setAttribute(k, v);
	if (text !== undefined)
		e.textContent = text;
	return e;
}

function chart(svg, points, lines, unit) {
	const width = svg.clientWidth || 400, height = svg.clientHeight || 144, left = 58, bottom = 16;
	const top = Math.max(1, ...points.flatMap((p) => lines.map((l) => p[l])));
	const x = (i) => left + (width - left) * (i + POINTS - points.length) / (POINTS - 1);
	const y = (v) => (height - bottom - 4) * (1 - v / top) + 4;
	svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
	const parts = [0, 0.5, 1].flatMap((part) => [
		shape("line", { x1: left, x2: width, y1: y(top * part), y2: y(top * part) }),
		shape("text", { x: left - 6, y: y(top * part) + 4, "text-anchor": "end" }, si(top * part)),
	]);
	for (const l of lines) {
		const d = points.map((p, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(p[l]).toFixed(1)}`);
		parts.push(shape("path", { class: l, d: d.join("") || "M0 0" }));
	}
	parts.push(shape("text", { x: width, y: height - 3, "text-anchor": "end" }, `now, ${unit}`));
	svg.replaceChildren(...parts);
}

function facts(bus) {
	const rates = bus.rates && bus.rates.now;
	const cell = (name, value, bad) => element("div", {},
		element("b", bad ? { class: "bad" } : {}, value), element("span", {}, name));
	$("facts").replaceChildren(
		cell("state", bus.gone ? "gone" : bus.state, bus.gone || bus.state !== "live"),
		cell("frames/s", rates ? si(rates.frames) : "-"),
		cell("bits/s", rates ? si(rates.bits) : "-"),
		cell("published", count(bus.published)),
		cell("kernel drops", count(bus.kernel_drops), bus.kernel_drops > 0),
		cell("ring depth", seconds(bus.depth_seconds)),
		cell("clients", count(bus.clients_in_all)),
		cell("epoch", count(bus.epoch)));
}

/* Of more than CLIENTS clients those that are late, and the first ones of the rest. */
function foremost(bus, past) {
	const rank = (c) => past.late.has(key(c)) ? 0 : 1;
	return bus.clients.length <= CLIENTS ? bus.clients :
		[...bus.clients].sort((a, b) => rank(a) - rank(b)).slice(0, CLIENTS);
}

function ring(bus, past) {
	const held = bus.next_seq - bus.oldest_seq;
	const parts = [element("div", { class: "held" })];
	for (const c of foremost(bus, past)) {
		if (c.lag_bytes === null)
			continue;
		const at = Math.max(0, 100 * (1 - c.lag_bytes / bus.ring_size));
		const mark = element("div", { class: past.late.has(key(c)) ? "client late" : "client" });
		mark.style.left = `calc(${at.toFixed(2)}% - 2px)`;
		mark.title = c.name;
		parts.push(mark);
	}
	parts[0].style.width = held ? "100%" : "0";
	$("ring").replaceChildren(...parts);
	$("ring-text").textContent = `${bytes(bus.ring_size)}, ${count(held)} frames, ` +
		`${seconds(bus.depth_seconds)} deep; a mark is a client, overrun at the left end`;
}

function clients(bus, past) {
	const head = ["client", "uid", "pid", "frames", "lag", "lag, time", "overrun in", "lost", "kind"];
	const some = foremost(bus, past), more = bus.clients_in_all - some.length;
	const rows = some.map((c) => {
		const kind = c.evicted ? "evicted" : c.reliable ? "reliable" : "";
		const cells = [c.name, c.uid, c.pid, count(c.frames), count(c.lag_frames),
			seconds(c.lag_seconds), seconds(c.overrun_in_seconds), count(c.lost), kind];
		return element("tr", past.late.has(key(c)) ? { class: "late" } : {},
			...cells.map((v) => element("td", {}, String(v))));
	});
	if (more > 0)
		rows.push(element("tr", {}, element("td", { colspan: head.length }, `and ${count(more)} more`)));
	$("clients").replaceChildren(
		element("tr", {}, ...head.map((h) => element("th", { scope: "col" }, h))), ...rows);
}

function bars(box, list, name) {
	const most = Math.max(1, ...list.map((e) => e.bytes));
	$(box).replaceChildren(...list.map((e) => {
		const bar = element("i");
		bar.style.width = `${(100 * e.bytes / most).toFixed(1)}%`;
		return element("div", {}, bar, element("span", { title: e[name] }, e[name]),
			element("span", {}, `${si(e.frames)} frames, ${bytes(e.bytes)}`));
	}));
}

/* The largest standard error of what is shown, as a share of all bytes. */
function error_of(t) {
	const errors = [t, ...t.protocols, ...t.sizes, ...t.talkers, ...t.flows].map((e) => e.bytes_error);
	return Math.max(...errors) / Math.max(1, t.bytes);
}

function traffic(bus) {
	const t = bus.traffic;
	for (const [box, name] of [["protocols", "name"], ["sizes", "size"], ["talkers", "address"],
		["flows", "flow"]])
		bars(box, t ? t[box].filter((e) => e.frames) : [], name);
	$("sampled").textContent = !t ? "Traffic is not looked at." :
		t.sampled_1_in > 1 ? `Traffic of the last ${seconds(t.interval_seconds)}: sampled ` +
			`1/${t.sampled_1_in}, shares of bytes \u00b1${(100 * error_of(t)).toFixed(1)} %` :
			`Traffic: every frame of the last ${seconds(t.interval_seconds)}`;
}

function draw() {
	const known = busses.filter((b) => b.state !== null);
	if (!known.some((b) => b.bus === chosen))
		chosen = known.length ? known[0].bus : null;
	$("busses").replaceChildren(...known.map((b) => {
		const button = element("button", { type: "button", "aria-pressed": b.bus === chosen }, b.bus);
		button.addEventListener("click", () => {
			chosen = b.bus;
			draw();
		});
		return button;
	}));
	$("bus").hidden = !known.length;
	$("empty").hidden = known.length > 0;
	$("empty").textContent = busses.length ? busses.map((b) => `${b.bus}: ${b.why}`).join("; ") :
		"No bus on this host. Start ncp-producer.";
	const bus = known.find((b) => b.bus === chosen);
	if (!bus)
		return;
	const past = history.get(bus.bus);
	facts(bus);
	chart($("chart-frames"), past.points, ["frames"], "frames/s");
	chart($("chart-bits"), past.points, ["bits"], "bits/s");
	chart($("chart-drops"), past.points, ["kernel", "lost"], "frames/s");
	ring(bus, past);
	clients(bus, past);
	traffic(bus);
}

/* --- events -------------------------------------------------------------------------------------- */

function link(text, bad) {
	$("link").textContent = text;
	$("link").className = bad ? "bad" : "";
}

function listen() {
	const events = new EventSource("/api/v1/events");
	events.onopen = () => link("live", false);
	events.onerror = () => {
		link("no connection, trying again", true);
		/* It comes back by itself, unless it was refused: too many listen. */
		if (events.readyState === EventSource.CLOSED)
			setTimeout(listen, 10000);
	};
	events.onmessage = (event) => {
		busses = JSON.parse(event.data);
		busses.filter((b) => b.state !== null).forEach(remember);
		draw();
	};
}

listen();
addEventListener("resize", draw);
