// Loads pages in Chromium, narrow and wide, light and dark, and says what is wrong with them.
//
//   node check.mjs PACKAGES CHROMIUM SHOTS PAGE.html...
//
// PACKAGES is the folder with node_modules, SHOTS the folder that screenshots go to. A page passes if it asks for
// nothing beyond its own file, logs no error, needs no horizontal scrolling (the page itself, nor anything in it),
// and axe-core finds nothing against it. The last line counts what passed.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [packages, executablePath, shots, ...pages] = process.argv.slice(2);
const require = createRequire(join(resolve(packages), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const WIDTHS = [390, 1280];
const SCHEMES = ["light", "dark"];
const LOAD_MS_MAX = 60_000;
const SWITCHES = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

// What of a page is wider than the room it has.
function overflows() {
  const root = document.documentElement;
  const wide = root.scrollWidth > root.clientWidth ? [`the page: ${root.scrollWidth} > ${root.clientWidth}`] : [];
  for (const element of document.querySelectorAll("body *")) {
    if (element instanceof SVGElement || element.scrollWidth <= element.clientWidth || element.clientWidth === 0) continue;
    if (getComputedStyle(element).overflowX === "visible") continue;
    const name = element.getAttribute("aria-labelledby") ?? element.tagName;
    wide.push(`${name}: ${element.scrollWidth} > ${element.clientWidth}`);
  }
  return wide;
}

async function findings(browser, file, width, colorScheme) {
  const url = pathToFileURL(resolve(file)).href;
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  try {
    const page = await context.newPage();
    const found = [];
    page.on("request", (request) => {
      if (request.url() !== url) found.push(`asks for ${request.url()}`);
    });
    page.on("console", (message) => {
      if (message.type() === "error") found.push(`logs ${message.text()}`);
    });
    page.on("pageerror", (error) => found.push(`fails: ${error.message}`));
    await page.goto(url, { waitUntil: "load", timeout: LOAD_MS_MAX });
    const name = `${basename(dirname(resolve(file)))}-${width}-${colorScheme}.png`;
    await page.screenshot({ path: join(shots, name), fullPage: true });
    // What is folded up is looked at as well.
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    found.push(...(await page.evaluate(overflows)));
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    for (const { id, help, nodes } of violations) {
      found.push(`axe ${id}: ${help} (${nodes.length}, first ${nodes[0].target.join(" ")})`);
    }
    return found;
  } finally {
    await context.close().catch(() => {});
  }
}

let passed = 0;
let failed = 0;
for (const file of pages) {
  const browser = await chromium.launch({ executablePath, args: SWITCHES, timeout: LOAD_MS_MAX });
  for (const width of WIDTHS) {
    for (const scheme of SCHEMES) {
      // A browser that goes away is a failure of this page, with the first line of what was said about it.
      const found = await findings(browser, file, width, scheme).catch((error) => [String(error).split("\n")[0]]);
      found.length === 0 ? passed++ : failed++;
      console.log(`${found.length === 0 ? "ok  " : "FAIL"} ${file} at ${width} px, ${scheme}`);
      found.forEach((one) => console.log(`       ${one}`));
    }
  }
  await browser.close();
}
console.log(`screenshots: ${shots}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
