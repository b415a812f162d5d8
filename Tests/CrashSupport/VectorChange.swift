/// A change of one vector, or of which ones there are.
///
/// Places are given in percent of the elements that are there, so that any part of a list of changes is
/// a list.
package enum VectorChange: Sendable, Equatable {
  /// Edits that are written together.
  case write([VectorEdit])
  /// The same with a stamp.
  case commit([VectorEdit])
  /// The same, and all changes to their places.
  case fold([VectorEdit])
  /// To a stamp so many before the last one, or to the oldest that is kept.
  case rollback(Int)
  case remove
  case rename(to: Int)
}

/// A part of a change.
package enum VectorEdit: Sendable, Equatable {
  case append(count: Int)
  /// So many elements from a place on, each some places behind the one before.
  case update(percent: Int, count: Int)
  case take(percent: Int)
  case fillFirstHole
  case truncate(percent: Int)
}

/// As it is written in Swift, for a regression test.
extension VectorChange: CustomStringConvertible {
  package var description: String {
    switch self {
    case .write(let edits): ".write(\(Self.list(edits)))"
    case .commit(let edits): ".commit(\(Self.list(edits)))"
    case .fold(let edits): ".fold(\(Self.list(edits)))"
    case .rollback(let count): ".rollback(\(count))"
    case .remove: ".remove"
    case .rename(let other): ".rename(to: \(other))"
    }
  }

  private static func list(_ edits: [VectorEdit]) -> String {
    "[" + edits.map(\.description).joined(separator: ", ") + "]"
  }
}

extension VectorEdit: CustomStringConvertible {
  package var description: String {
    switch self {
    case .append(let count): ".append(count: \(count))"
    case .update(let percent, let count): ".update(percent: \(percent), count: \(count))"
    case .take(let percent): ".take(percent: \(percent))"
    case .fillFirstHole: ".fillFirstHole"
    case .truncate(let percent): ".truncate(percent: \(percent))"
    }
  }
}
