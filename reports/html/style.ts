/** Colours are variables: the charts and the timeline read them too, so dark and light are one page. */
export const style = `
:root { color-scheme: light dark; --page:#fbfbf9; --card:#fff; --text:#1d2328; --faint:#5d6770; --line:#dcdfe2; --held:#177245; --violated:#b3261e; --unknown:#8a5a00;
  --chart-text:#4a545c; --chart-grid:#e4e7ea; --chart-ok:#2f7dc0; --chart-fail:#b3261e; --chart-info:#b7791f; --chart-p50:#2f7dc0; --chart-p99:#8553b5; --chart-max:#c2577b; --chart-fault:#d08a1d; }
@media (prefers-color-scheme: dark) { :root { --page:#14181c; --card:#1b2126; --text:#e6e9eb; --faint:#9aa5ae; --line:#333c44; --held:#5fce95; --violated:#ff8a80; --unknown:#e8b44f;
  --chart-text:#aab4bc; --chart-grid:#2c343b; --chart-ok:#63a9e4; --chart-fail:#ff8a80; --chart-info:#e8b44f; --chart-p50:#63a9e4; --chart-p99:#b893e0; --chart-max:#e690ac; --chart-fault:#e8b44f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 10px; } h3 { font-size: 15px; margin: 20px 0 6px; } h4 { font-size: 14px; margin: 12px 0 4px; }
.verdict { border-left: 8px solid; background: var(--card); padding: 18px 22px; border-radius: 4px; }
.verdict .word { font-size: 30px; font-weight: 650; }
.held { color: var(--held); } .violated { color: var(--violated); } .unknown { color: var(--unknown); }
.verdict.held, .verdict.violated, .verdict.unknown { border-color: currentColor; } .verdict > * { color: var(--text); } .verdict .word { color: inherit; }
.facts { color: var(--faint); } .hint { color: var(--faint); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; background: var(--card); font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--faint); font-weight: 550; font-size: 13px; }
td.number, th.number { text-align: right; white-space: nowrap; }
code, pre { font: 13px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; } pre { background: var(--card); border: 1px solid var(--line); padding: 10px 12px; overflow-x: auto; border-radius: 4px; }
figure { margin: 0 0 12px; background: var(--card); padding: 8px; border: 1px solid var(--line); border-radius: 4px; } figure svg { width: 100%; height: auto; } figcaption { color: var(--faint); font-size: 13px; padding: 0 8px; }
.timeline { background: var(--card); border: 1px solid var(--line); border-radius: 4px; padding: 6px; } .timeline canvas { width: 100%; display: block; touch-action: none; } .timeline output { display: block; min-height: 3em; padding: 4px 6px; font: 12.5px/1.4 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
details > summary { cursor: pointer; color: var(--faint); }
li.marked { color: var(--violated); }
`;
