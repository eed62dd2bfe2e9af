import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Disk, File } from "./disk.ts";

/** A disk and a directory on it that is the test's own. */
export interface DiskPlace {
  readonly disk: Disk;
  /** An existing, empty directory. */
  readonly dir: string;
  /** Loses power, if the place can, and comes up again: the disk as the next life sees it. Open files are dead. */
  losePower?(): Promise<Disk>;
  dispose(): Promise<void>;
}

/** What every disk promises (`disk.ts`). */
export function diskContract(name: string, makePlace: () => Promise<DiskPlace>): void {
  describe(`disk: ${name}`, () => {
    let place: DiskPlace;
    let disk: Disk;
    const opened: File[] = [];

    beforeEach(async () => {
      place = await makePlace();
      disk = place.disk;
    });
    afterEach(async () => {
      for (const file of opened.splice(0)) await file.close();
      await place.dispose();
    });

    const at = (relative: string) => `${place.dir}/${relative}`;
    const bytes = (text: string) => Buffer.from(text, "latin1");

    async function open(relative: string, create = true): Promise<File> {
      const file = await disk.open(at(relative), { create });
      opened.push(file);
      return file;
    }

    async function read(file: File, length: number, position = 0): Promise<string> {
      const into = Buffer.alloc(length, "?");
      const count = await file.readAt(into, position);
      return into.toString("latin1", 0, count);
    }

    async function content(relative: string): Promise<string> {
      const file = await open(relative, false);
      return read(file, (await file.size()) + 1);
    }

    test("a missing file is ENOENT unless it may be made", async () => {
      await expect(disk.open(at("a"))).rejects.toMatchObject({ code: "ENOENT" });
      const file = await open("a");
      expect(await file.size()).toBe(0);
      await expect(disk.open(at("no/such/a"), { create: true })).rejects.toMatchObject({ code: "ENOENT" });
    });

    test("opening to create leaves what is there", async () => {
      await (await open("a")).writeAt(bytes("kept"), 0);
      expect(await read(await open("a"), 10)).toBe("kept");
    });

    test("what is written is read, at its place, over sector bounds, and short at the end", async () => {
      const file = await open("a");
      await file.writeAt(bytes("x".repeat(600)), 500);
      await file.writeAt(bytes("YY"), 511);
      expect(await file.size()).toBe(1100);
      expect(await read(file, 14, 498)).toBe("\0\0" + "x".repeat(11) + "Y");
      expect(await read(file, 10, 1095)).toBe("xxxxx");
      expect(await read(file, 10, 2000)).toBe("");
    });

    test("the bytes written are those of the moment of the call", async () => {
      const file = await open("a");
      const data = bytes("before");
      const writing = file.writeAt(data, 0);
      await writing;
      data.fill(0x21);
      expect(await read(file, 6)).toBe("before");
    });

    test("allocated space reads as zeros, and nothing is overwritten or made shorter", async () => {
      const file = await open("a");
      await file.writeAt(bytes("head"), 0);
      await file.allocate(5000);
      expect(await file.size()).toBe(5000);
      expect(await read(file, 5001)).toBe("head" + "\0".repeat(4996));
      await file.allocate(10);
      expect(await file.size()).toBe(5000);
    });

    test("what is cut off does not come back", async () => {
      const file = await open("a");
      await file.writeAt(bytes("x".repeat(2000)), 0);
      await file.truncate(700);
      expect(await file.size()).toBe(700);
      await file.allocate(2000);
      expect(await read(file, 2000)).toBe("x".repeat(700) + "\0".repeat(1300));
      await file.truncate(0);
      await file.writeAt(bytes("y"), 600);
      expect(await read(file, 700)).toBe("\0".repeat(600) + "y");
    });

    test("a second handle sees the first one's writes", async () => {
      const one = await open("a");
      const two = await open("a");
      await one.writeAt(bytes("shared"), 0);
      expect(await read(two, 6)).toBe("shared");
    });

    test("names are listed in order; a missing directory is empty", async () => {
      for (const name of ["b", "a", "c"]) await open(name);
      await disk.mkdir(at("d/e"));
      expect(await disk.list(place.dir)).toEqual(["a", "b", "c", "d"]);
      expect(await disk.list(at("d"))).toEqual(["e"]);
      expect(await disk.list(at("nowhere"))).toEqual([]);
      await disk.mkdir(at("d/e"));
    });

    test("a rename replaces, takes open handles along, and is ENOENT without a source", async () => {
      const file = await open("new");
      await file.writeAt(bytes("new"), 0);
      await (await open("old")).writeAt(bytes("old"), 0);
      await disk.rename(at("new"), at("old"));
      expect(await disk.list(place.dir)).toEqual(["old"]);
      await file.writeAt(bytes("N"), 0);
      expect(await content("old")).toBe("New");
      await expect(disk.rename(at("new"), at("x"))).rejects.toMatchObject({ code: "ENOENT" });
    });

    test("a directory can be renamed with what is in it", async () => {
      await disk.mkdir(at("made.tmp"));
      await (await open("made.tmp/a")).writeAt(bytes("inside"), 0);
      await disk.rename(at("made.tmp"), at("made"));
      expect(await content("made/a")).toBe("inside");
    });

    test("remove takes files and whole directories; a missing one is fine", async () => {
      await disk.mkdir(at("d/e"));
      await open("d/e/f");
      await disk.remove(at("d"));
      await disk.remove(at("nowhere"));
      expect(await disk.list(place.dir)).toEqual([]);
    });

    test("only one holds a directory's lock", async () => {
      const lock = await disk.lock(place.dir);
      await expect(disk.lock(place.dir)).rejects.toMatchObject({
        code: "ELOCKED",
        message: expect.stringContaining(place.dir) as string,
      });
      await lock[Symbol.asyncDispose]();
      await (await disk.lock(place.dir))[Symbol.asyncDispose]();
    });

    test("syncing works on files and directories; a missing directory is ENOENT", async () => {
      const file = await open("a");
      await file.writeAt(bytes("x"), 0);
      await file.datasync();
      await disk.syncDir(place.dir);
      await expect(disk.syncDir(at("nowhere"))).rejects.toMatchObject({ code: "ENOENT" });
    });

    test("what was synced survives a power loss, and the lock does not", async ({ skip }) => {
      if (place.losePower === undefined) return skip("this place cannot lose power");
      const file = await open("a.tmp");
      await file.allocate(4096);
      await file.writeAt(bytes("durable"), 1000);
      await file.datasync();
      await disk.rename(at("a.tmp"), at("a"));
      await disk.syncDir(place.dir);
      await disk.lock(place.dir);
      await file.writeAt(bytes("perhaps"), 2000);
      opened.length = 0;
      disk = await place.losePower();
      expect(await disk.list(place.dir)).toEqual(["a"]);
      const again = await open("a", false);
      expect(await again.size()).toBe(4096);
      expect(await read(again, 7, 1000)).toBe("durable");
      expect(["perhaps", "\0".repeat(7)]).toContain(await read(again, 7, 2000));
      await (await disk.lock(place.dir))[Symbol.asyncDispose]();
    });
  });
}
