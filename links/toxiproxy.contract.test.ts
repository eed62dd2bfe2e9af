import { systemClock } from "../seams/node/clock.ts";
import { startLinks } from "./index.ts";
import { toxiproxyContract } from "./toxiproxy.contract.ts";

toxiproxyContract("the embedded proxy", () => startLinks({ proxies: [], clock: systemClock, seed: 1 }));
