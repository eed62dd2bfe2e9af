import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../seams/node/clock.ts";
import { startLinks } from "./index.ts";

test("a port that is taken is told in one sentence, and no thread is left", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const listen = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  await expect(
    startLinks({ proxies: [{ name: "p", upstream: "127.0.0.1:1", listen }], clock: systemClock }),
  ).rejects.toThrow(
    `The proxy between the processes did not start: listen tcp ${listen}: bind: address already in use`,
  );
  taken.close();
});

test("two proxies of one name are refused, and an address is asked for by a name that exists", async () => {
  const proxy = { name: "p", upstream: "127.0.0.1:1" };
  await expect(startLinks({ proxies: [proxy, proxy], clock: systemClock })).rejects.toThrow("proxy already exists");
  const links = await startLinks({ proxies: [proxy], clock: systemClock });
  expect(links.address("p")).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(() => links.address("q")).toThrow('There is no proxy "q": p');
  await links[Symbol.asyncDispose]();
  await expect(fetch(`${links.apiUrl}/version`)).rejects.toThrow("fetch failed");
});
