import { backendContract } from "../reference/mvcc/backend.contract.ts";
import { diskContract } from "../seams/disk.contract.ts";
import { SimulatedBackend } from "./backend.ts";
import { SimulatedDisk } from "./disk.ts";
import { pump } from "./pump.ts";
import { World } from "./world.ts";

for (const seed of [1, 2, 3]) {
  diskContract(`simulated, seed ${seed}`, async () => {
    const world = new World(seed);
    const pumping = pump(world);
    const simulated = new SimulatedDisk(world, "m1");
    let life = world.begin("m1");
    const disk = simulated.connect(life);
    await disk.mkdir("/data");
    return {
      disk,
      dir: "/data",
      async losePower() {
        life.end();
        simulated.losePower();
        life = world.begin("m1");
        return simulated.connect(life);
      },
      dispose: async () => pumping[Symbol.asyncDispose](),
    };
  });

  backendContract(`simulated, seed ${seed}`, async () => {
    const world = new World(seed);
    const pumping = pump(world);
    const simulated = new SimulatedBackend(world, "m1");
    let life = world.begin("m1");
    return {
      factory: {
        open: () => simulated.connect(life).open(),
        restore: (stream) => simulated.connect(life).restore(stream),
      },
      async crash() {
        life.end();
        await simulated.losePower();
        life = world.begin("m1");
      },
      dispose: async () => pumping[Symbol.asyncDispose](),
    };
  });
}
