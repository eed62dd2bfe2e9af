import { createServer } from "node:http";

/** Stands in for a member: a process that answers any HTTP request on two ports, and stops by itself when it is told that its disk failed. */
const ports = process.argv.slice(2).map(Number);
for (const port of ports) {
  await new Promise<void>((resolve) => {
    createServer((_request, response) => response.end("{}")).listen(port, "127.0.0.1", resolve);
  });
}
process.on("message", () => process.exit(1));
process.send?.("ready");
