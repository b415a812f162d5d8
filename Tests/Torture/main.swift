// Crashes seeded workloads until there are enough states or the time is over; see
// docs/DURABILITY.md, "How it is tested".
//
//     Torture [--states N] [--seconds S] [--seed X] [--jobs J] [--minimize-seconds M]
//
// Exit status: 0 if all promises were kept, 1 if one was broken, 2 for a mistake in the arguments.

import Foundation

let settings: TortureSettings
do {
  settings = try TortureSettings(CommandLine.arguments.dropFirst())
} catch {
  FileHandle.standardError.write(Data("Torture: \(error)\n".utf8))
  exit(2)
}
exit(Torture(settings).run())
