"""The style sheet of a report: one column for a phone, dark where the reader's machine is, plain in print."""

CSS = """
:root {
  color-scheme: light dark;
  --ink: #1c1e21; --soft: #595f69; --paper: #ffffff; --ground: #f4f5f7; --rule: #d9dce1; --accent: #005f96;
  --warn: #8a3b00; --warn-ground: #fff1e6;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #e69f00; --c4: #cc79a7; --c5: #56b4e9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7e9ec; --soft: #a3abb6; --paper: #1b1e23; --ground: #121417; --rule: #363b43; --accent: #63b7ea;
    --warn: #ffb27a; --warn-ground: #35231a;
    --c0: #2f9bdc; --c1: #f47a26; --c2: #1fbf92; --c3: #f0b63a; --c4: #dd95bd; --c5: #8fd0f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0 0.25rem; }
h2 { font-size: 1.25rem; line-height: 1.25; margin: 0 0 0.5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.5rem; }
p { margin: 0.4rem 0; }
.lead, .note { color: var(--soft); }
.note { font-size: 0.9rem; }
section {
  background: var(--paper); border: 1px solid var(--rule); border-radius: 0.5rem;
  padding: 1rem; margin: 1rem 0; min-width: 0;
}
nav ul { list-style: none; padding: 0; margin: 0.5rem 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
a { color: var(--accent); }
.wide { overflow-x: auto; max-width: 100%; }
table { margin-top: 0.75rem; border-collapse: collapse; font-size: 0.92rem; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: 0.25rem 0; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid var(--rule); }
td { max-width: 24rem; overflow-wrap: break-word; }
.long { min-width: 14rem; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9.5rem, 100%), 1fr));
  gap: 0.5rem 1rem; margin: 0.5rem 0;
}
dl div { min-width: 0; }
dt { color: var(--soft); font-size: 0.85rem; }
dd { margin: 0; }
.warning {
  border-left: 4px solid var(--warn); background: var(--warn-ground); color: var(--warn);
  padding: 0.4rem 0.75rem; margin: 0.5rem 0;
}
figure { margin: 1rem 0 0; }
figure svg, figure img { display: block; height: auto; max-width: 100%; color: var(--ink); }
figure img { width: 40rem; }
figure img { background: #ffffff; }
figcaption { color: var(--soft); font-size: 0.9rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 0 1.5rem; }
.plots > * { min-width: 0; }
pre {
  white-space: pre-wrap; overflow-wrap: anywhere; font: 0.85rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace;
  background: var(--ground); border-radius: 0.35rem; padding: 0.75rem; margin: 0.5rem 0;
}
summary { cursor: pointer; font-weight: 600; padding: 0.35rem 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media print {
  :root {
    color-scheme: light;
    --ink: #000000; --soft: #444444; --paper: #ffffff; --ground: #ffffff; --rule: #bbbbbb; --accent: #000000;
    --warn: #000000; --warn-ground: #ffffff;
    --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #e69f00; --c4: #cc79a7; --c5: #56b4e9;
  }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  section { border: 0; border-top: 1px solid var(--rule); border-radius: 0; padding: 0.5rem 0; }
  nav { display: none; }
  figure, tr, .warning { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .wide { overflow: visible; }
  details::details-content { content-visibility: visible; height: auto; }
}
"""
