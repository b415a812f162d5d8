/// A change of one region, or of which ones there are.
///
/// Places are given in percent of the bytes that are there, so that any part of a list of changes is
/// a list.
package enum RegionChange: Sendable, Equatable {
  case append(size: Int)
  /// Asks for `.sync`, whatever the database was opened with.
  case appendDurably(size: Int)
  case write(percent: Int, size: Int)
  /// So many writes at once, the next each a step further, some of them over one another and beyond
  /// the end.
  case writeMany(percent: Int, count: Int, size: Int)
  case truncate(percent: Int)
  case truncateAndAppend(percent: Int, size: Int)
  case reserve(size: Int)
  case remove
  case rename(to: Int)
  /// Removes all but this one and another.
  case retain(and: Int)
}

/// As it is written in Swift, for a regression test.
extension RegionChange: CustomStringConvertible {
  package var description: String {
    switch self {
    case .append(let size): ".append(size: \(size))"
    case .appendDurably(let size): ".appendDurably(size: \(size))"
    case .write(let percent, let size): ".write(percent: \(percent), size: \(size))"
    case .writeMany(let percent, let count, let size):
      ".writeMany(percent: \(percent), count: \(count), size: \(size))"
    case .truncate(let percent): ".truncate(percent: \(percent))"
    case .truncateAndAppend(let percent, let size):
      ".truncateAndAppend(percent: \(percent), size: \(size))"
    case .reserve(let size): ".reserve(size: \(size))"
    case .remove: ".remove"
    case .rename(let other): ".rename(to: \(other))"
    case .retain(let other): ".retain(and: \(other))"
    }
  }
}
