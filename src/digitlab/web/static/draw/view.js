// Draw: a digit under the pen, and what every network makes of it while it grows.
// @ts-check

import { get, useAsking } from "../lib/api.js";
import { percent } from "../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { useRuns } from "../lib/live.js";
import { forward } from "../lib/network.js";
import { asDrawn, prepared } from "../lib/prepare.js";
import { navigate } from "../lib/route.js";
import { texts } from "../texts/en.js";
import { Answers } from "./answers.js";
import { broken } from "./breaking.js";
import { about, Chooser } from "./chooser.js";
import { BreakIt, isDamaged, WHOLE } from "./damage.js";
import { BLANK, inkCanvas, isBlank, paint, PEN, readInk, undone } from "./drawing.js";
import { imageAt, largest, nextIndex, useExamples } from "./examples.js";
import { TestImages } from "./images.js";
import { Inside } from "./inside.js";
import { chosenKeys, useNetworks } from "./networks.js";
import { Pad } from "./pad.js";
import { PhotoButton, PhotoSteps, usePhoto } from "./photo.js";
import { Seen } from "./steps.js";

/**
 * @typedef {import("./drawing.js").Drawing} Drawing
 * @typedef {import("../lib/network.js").Network} Network
 * @typedef {ReadonlyArray<ReadonlySet<number>>} Cut
 * @typedef {{data: string, index: number}} Place  a test image of a data set
 */

const said = texts.draw;
const DIGITS = Array.from("0123456789");
/** Milliseconds without a move until the answer is told to screen readers. */
const PAUSE = 800;
/** What was drawn stays while other views are open. */
const kept = { drawing: /** @type {Drawing} */ (BLANK), place: /** @type {Place | null} */ (null) };

/** @param {{route: import("../lib/route.js").Route}} props */
export default function Draw({ route }) {
  const { params } = route;
  const runs = useRuns();
  const keys = chosenKeys(params.key, runs);
  const networks = useNetworks(keys, runs);
  const [datasets, setDatasets] = useState(/** @type {any[]} */ ([]));
  const [ink] = useState(() => {
    const fresh = inkCanvas();
    paint(fresh, kept.drawing, "#fff");
    return fresh;
  });
  const [drawing, setDrawing] = useState(kept.drawing);
  const [place, setPlace] = useState(kept.place);
  const [digit, setDigit] = useState(/** @type {number | null} */ (null));
  const [pen, setPen] = useState(PEN.usual);
  const [damage, setDamage] = useState(WHOLE);
  const [cuts, setCuts] = useState(/** @type {Record<string, Cut>} */ ({}));
  const [inside, setInside] = useState("");
  const [wanted, setWanted] = useState(params.image !== undefined);
  const isAsDrawn = params.way === "drawn";

  const go = (/** @type {Record<string, unknown>} */ part) => navigate("/draw", { ...params, ...part }, { replace: true });
  const choose = (/** @type {string[]} */ next) => go({ key: next.join(",") || "none" });
  useAsking((signal) => get("datasets", {}, signal).then(setDatasets, () => {}), []);
  // Test images are those of the networks' data set: none are shown before it is known.
  const spec = networks.find(({ network }) => network)?.network?.spec ?? runs.find(({ key }) => keys.includes(key))?.spec;
  const name = spec?.data.name ?? (keys.length > 0 ? "" : "mnist");
  const index = place !== null && place.data === name ? place.index : null;
  const dataset = datasets.find((each) => each.name === name);
  /** @param {Network | null | undefined} network  of any data set; its classes by number where that is not known */
  const namesOf = (network) => {
    const count = network?.sizes.at(-1) ?? DIGITS.length;
    const names = network && datasets.find((each) => each.name === network.spec.data.name)?.class_names;
    return /** @type {string[]} */ (names?.length === count ? names : Array.from({ length: count }, (_, i) => String(i)));
  };
  const classNames = dataset?.class_names ?? DIGITS;
  const { examples, says } = useExamples(dataset, wanted);

  const hold = (/** @type {Drawing} */ next, /** @type {number | null} */ at) => {
    const there = at === null ? null : { data: name, index: at };
    Object.assign(kept, { drawing: next, place: there });
    setDrawing(next);
    setPlace(there);
    if (at === null ? params.image !== undefined : params.image !== String(at)) go({ image: at });
  };
  const change = (/** @type {Drawing} */ next, /** @type {number | null} */ at = null) => {
    paint(ink, next, "#fff");
    hold(next, at);
  };
  const photo = usePhoto(keys[Math.max(keys.indexOf(inside), 0)] ?? null, (image) => change({ base: image, strokes: [] }));
  const toImage = (/** @type {number} */ wish) => examples && change({ base: imageAt(examples, wish), strokes: [] }, wish);
  // What is asked for before the images are here is done when they are.
  const due = useRef(/** @type {{by: number, digit: number | null} | null} */ (null));
  const toNext = (/** @type {number} */ by, /** @type {number | null} */ wish) => {
    if (!examples) {
      setWanted(true);
      due.current = { by, digit: wish };
    } else toImage(nextIndex(examples, index ?? (by > 0 ? -1 : 0), by, wish));
  };
  useEffect(() => {
    if (!examples) return;
    const named = Number(params.image ?? NaN);
    if (Number.isInteger(named) && named >= 0 && named < examples.count) {
      if (named !== index) toImage(named);
    } else if (due.current) toNext(due.current.by, due.current.digit);
    due.current = null;
  }, [examples, params.image]);

  const isWhole = drawing.base !== null && drawing.strokes.length === 0; // an image of 28 x 28 as it is
  const blank = isBlank(drawing);
  const seen = useMemo(() => {
    if (isWhole || blank) return null;
    const own = readInk(ink);
    return { made: prepared(own), plain: asDrawn(own) };
  }, [drawing]);
  const made = isWhole ? /** @type {Uint8Array} */ (drawing.base) : (seen?.made.image ?? NOTHING);
  const plain = seen?.plain ?? made;
  const [image, other] = isAsDrawn ? [plain, made] : [made, plain];

  const whole = networks.map(({ network }) => network);
  const used = useMemo(() => whole.map((network) => network && broken(network, damage)), [damage, ...whole]);
  const answers = useMemo(
    () => used.map((network, i) => (network && !blank ? forward(network, image, cuts[keys[i]]) : null)),
    [image, used, cuts, blank],
  );
  const at = Math.max(keys.indexOf(inside), 0);
  const [network, answer] = [used[at], answers[at]];
  const otherAnswer = useMemo(
    () => (network && !blank && other !== image ? largest(forward(network, other, cuts[keys[at]]).probabilities) : null),
    [network, other, image, cuts],
  );
  const isOther = otherAnswer !== null && answer !== null && otherAnswer !== largest(answer.probabilities);
  const label = index !== null && examples ? examples.labels[index] : null;
  const cutCount = Object.values(cuts).reduce((sum, cut) => sum + cut.reduce((n, units) => n + units.size, 0), 0);
  const onCut = (/** @type {number} */ layer, /** @type {number} */ unit) => {
    if (!network) return;
    const cut = network.sizes.slice(1, -1).map((_, i) => new Set(cuts[keys[at]]?.[i]));
    if (!cut[layer].delete(unit)) cut[layer].add(unit);
    setCuts({ ...cuts, [keys[at]]: cut });
  };
  const told = useTold(answer && network ? [network.name, namesOf(network)[largest(answer.probabilities)], percent(Math.max(...answer.probabilities), 0)] : null);

  // What a move of the pen does not change is not built anew (useMemo below): the answer has a frame's time.
  return html`<div class="draw" onDragOver=${(/** @type {DragEvent} */ event) => event.preventDefault()} onDrop=${photo.drop}>
    <h1 class="only-read">${said.title}</h1>
    <p class="only-read" role="status">${told}</p>
    <${PhotoSteps} reading=${photo.reading} says=${photo.says} image=${isWhole ? made : null} onImage=${(/** @type {Uint8Array} */ found) => change({ base: found, strokes: [] })} onClose=${photo.clear} />
    <div class="easel">
      <div class="left">
        <section class="card board" aria-labelledby="pad-title">
          <h2 id="pad-title">${said.pad.title}</h2>
          <div class="paper">
            <${Pad} drawing=${drawing} ink=${ink} pen=${pen} onStroke=${(/** @type {Drawing} */ next) => hold(next, null)} onChange=${change}
              onNext=${(/** @type {number} */ by) => toNext(by, digit)}
              onDigit=${(/** @type {number} */ wish) => {
                setDigit(wish);
                toNext(1, wish);
              }} />
            ${blank && html`<p class="invite" aria-hidden="true">${said.pad.invite}</p>`}
          </div>
          <div class="row tools">
            <button class="button" disabled=${blank} onClick=${() => change(BLANK)}>${said.pad.clear}</button>
            <button class="button" disabled=${blank} onClick=${() => change(undone(drawing))}>${said.pad.undo}</button>
            <${PhotoButton} onFile=${photo.read} />
            <label class="pen"><span>${said.pad.pen}</span><input type="range" min=${PEN.low} max=${PEN.high} value=${pen} aria-valuetext=${said.pad.width(pen / 10)}
              onInput=${(/** @type {any} */ event) => setPen(Number(event.target.value))} /></label>
          </div>
          <p class="note keys" id="pad-keys">${said.pad.keys}</p>
        </section>
        <div class="tests" onFocusCapture=${() => setWanted(true)} onPointerEnter=${() => setWanted(true)}>
          ${useMemo(() => html`<${TestImages} examples=${examples} says=${says} index=${index} digit=${digit} classNames=${classNames} network=${whole[at]?.spec.data.name === name ? whole[at] : null} networkKey=${keys[at] ?? ""} networkName=${whole[at]?.name ?? ""}
            onIndex=${toImage} onNext=${(/** @type {number} */ by) => toNext(by, digit)} onDigit=${setDigit} />`, [examples, says, index, digit, classNames, whole[at], params])}
        </div>
      </div>
      <${Seen} image=${image} prepared=${isWhole ? null : (seen?.made ?? EMPTY)} plain=${plain} isAsDrawn=${isAsDrawn}
        onAsDrawn=${(/** @type {boolean} */ value) => go({ way: value ? "drawn" : null })}
        other=${isOther ? said.steps.other(network?.name ?? "", namesOf(network)[otherAnswer ?? 0], isAsDrawn) : ""} />
      <div class="networks">
        <div class="side">
          ${networks.map((loaded, i) => {
            const run = runs.find(({ key }) => key === loaded.key);
            const title = loaded.network?.name ?? run?.network ?? loaded.key.slice(0, 12);
            return html`<${Answers} key=${loaded.key} loaded=${loaded} title=${title} about=${said.answers.about(about(loaded.network?.spec ?? run?.spec), run?.status === "training" ? loaded.step : null)}
              classNames=${namesOf(loaded.network)} probabilities=${answers[i]?.probabilities ?? null} label=${loaded.network?.spec.data.name === name ? label : null} isChosen=${i === at}
              isBroken=${isDamaged(damage) || (cuts[loaded.key] ?? []).some(({ size }) => size)}
              onChoose=${() => setInside(loaded.key)} onRemove=${() => choose(keys.filter((key) => key !== loaded.key))} />`;
          })}
        </div>
        ${useMemo(() => html`<${Chooser} runs=${runs} keys=${keys} onChange=${choose} />`, [runs, keys.join(), params])}
      </div>
    </div>
    <div class="lower">
      ${network &&
      html`<section class="card" aria-labelledby="inside-title"><h2 id="inside-title">${said.inside.title(network.name)}</h2>
        <${Inside} key=${keys[at]} network=${network} answer=${answer} classNames=${namesOf(network)} cut=${cuts[keys[at]] ?? NO_CUT} onCut=${onCut} /></section>`}
      ${network && html`<${BreakIt} damage=${damage} cutCount=${cutCount} onChange=${setDamage} onMend=${() => {
        setDamage(WHOLE);
        setCuts({});
      }} />`}
    </div>
  </div>`;
}

const NOTHING = new Uint8Array(784);
const EMPTY = prepared({ rows: 0, columns: 0, values: new Float32Array(0) });
/** @type {Cut} */
const NO_CUT = [];

/** The answer in words, once the pen rests. @param {string[] | null} answer */
function useTold(answer) {
  const [told, setTold] = useState("");
  const words = answer ? said.told(.../** @type {[string, string, string]} */ (answer)) : "";
  useEffect(() => {
    const timer = setTimeout(() => setTold(words), PAUSE);
    return () => clearTimeout(timer);
  }, [words]);
  return told;
}
