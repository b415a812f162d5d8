/// What the arguments say.
struct TortureSettings: Sendable {
  struct Mistake: Error, CustomStringConvertible {
    let description: String
  }

  /// How many distinct states are enough.
  var stateLimit = Int.max
  var seconds = Int.max
  var firstSeed: UInt64 = 1
  var jobCount = 2
  /// How long to shorten a workload that fails; 0 does not.
  var minimizeSeconds = 60

  init(_ arguments: some Sequence<String>) throws(Mistake) {
    var iterator = arguments.makeIterator()
    while let name = iterator.next() {
      guard let text = iterator.next(), let number = Int(text), number >= 0 else {
        throw Mistake(description: "\(name) needs a number")
      }
      switch name {
      case "--states": stateLimit = number
      case "--seconds": seconds = number
      case "--seed": firstSeed = UInt64(number)
      case "--jobs": jobCount = max(1, number)
      case "--minimize-seconds": minimizeSeconds = number
      default:
        throw Mistake(
          description:
            "no option \(name); there are --states, --seconds, --seed, --jobs, --minimize-seconds")
      }
    }
  }
}
