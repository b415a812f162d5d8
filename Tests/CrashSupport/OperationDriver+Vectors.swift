import BTreeKV
import TestSupport
import Vectors

// Changes of vectors, in the database and in the model.

extension OperationDriver {
  package static let vectorNames = ["ids", "heights", "times", "prices"]

  /// Whether a vector of this name is compressed: half of them are.
  static func isCompressed(_ name: String) -> Bool { vectorNames.suffix(2).contains(name) }

  private static var compression: CompressionOptions {
    CompressionOptions(level: 1, pageElementCount: 256)
  }

  /// Opens a vector, which is made if there is none.
  static func openVector(
    _ name: String, in database: Database
  ) throws(DatabaseError) -> BufferedVector<UInt32> {
    if isCompressed(name) {
      return try CompressedVector<UInt32>.open(
        name, in: database, stampLimit: VectorModel.stampLimit, options: compression)
    }
    return try RawVector<UInt32>.open(name, in: database, stampLimit: VectorModel.stampLimit)
  }

  /// One change outside of transactions.
  mutating func change(_ number: Int, _ change: VectorChange, in database: Database) throws {
    let name = Self.vectorNames[number]
    switch change {
    case .remove:
      let isThere = model.vectors[name] != nil
      try require(try database.removeVector(name) == isThere, "removeVector said \(!isThere)")
      model.setVector(name, nil)
    case .rename(let other):
      guard let (new, vector) = renamingVector(name, to: other) else { return }
      try database.renameVector(name, to: new)
      renamedVector(name, to: new, vector)
    default:
      let handle = try Self.openVector(name, in: database)
      // One step is one transaction.
      guard var vector = model.vectors[name] else {
        return model.setVector(name, VectorModel())
      }
      vectorHandles[name] = handle
      try self.change(handle, &vector, change)
      try require(
        try handle.count == vector.elements.count, "vector \"\(name)\" has another length")
      model.setVector(name, vector)
    }
  }

  /// One change in a transaction.
  mutating func change(
    _ number: Int, _ change: VectorChange, in transaction: borrowing Transaction
  ) throws {
    let name = Self.vectorNames[number]
    switch change {
    case .remove:
      let isThere = model.vectors[name] != nil
      try require(try transaction.removeVector(name) == isThere, "removeVector said \(!isThere)")
      model.setVector(name, nil)
    case .rename(let other):
      guard let (new, vector) = renamingVector(name, to: other) else { return }
      try transaction.renameVector(name, to: new)
      renamedVector(name, to: new, vector)
    default:
      var vector = model.vectors[name] ?? VectorModel()
      let limit = VectorModel.stampLimit
      if Self.isCompressed(name) {
        let handle = try transaction.compressedVector(
          name, of: UInt32.self, stampLimit: limit, options: Self.compression)
        try self.change(handle, &vector, change)
      } else {
        let handle = try transaction.rawVector(name, of: UInt32.self, stampLimit: limit)
        try self.change(handle, &vector, change)
      }
      model.setVector(name, vector)
    }
  }

  private func renamingVector(_ name: String, to other: Int) -> (String, VectorModel)? {
    let new = Self.vectorNames[other]
    guard let vector = model.vectors[name], model.vectors[new] == nil,
      Self.isCompressed(name) == Self.isCompressed(new)
    else { return nil }
    return (new, vector)
  }

  private mutating func renamedVector(
    _ name: String, to new: String, _ vector: VectorModel
  ) {
    model.setVector(name, nil)
    model.setVector(new, vector)
  }

  // MARK: Edits

  /// An edit with its places and elements.
  private enum Placed {
    case append([UInt32])
    case update([(index: Int, element: UInt32)])
    case take(Int, expected: UInt32?)
    case fill(UInt32, expected: Int)
    case truncate(Int)
  }

  private mutating func elements(_ count: Int) -> [UInt32] {
    value(4 * count).withUnsafeBytes { bytes in
      (0..<count).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self) }
    }
  }

  /// Makes an edit in the model, and says what it is to be in the database.
  private mutating func place(_ edit: VectorEdit, _ vector: inout VectorModel) -> Placed? {
    let count = vector.elements.count
    func index(_ percent: Int) -> Int { count * min(percent, 100) / 100 }
    switch edit {
    case .append(let added):
      let new = elements(added)
      vector.elements += new
      return .append(new)
    case .update(let percent, let updated):
      guard count > 0 else { return nil }
      let new = elements(updated).enumerated().map { number, element in
        (index: (index(percent) + number * 7) % count, element: element)
      }
      for (index, element) in new {
        vector.elements[index] = element
        vector.holes.remove(index)
      }
      return .update(new)
    case .take(let percent):
      guard count > 0 else { return nil }
      let index = min(count - 1, index(percent))
      let expected = vector.holes.contains(index) ? nil : vector.elements[index]
      vector.holes.insert(index)
      return .take(index, expected: expected)
    case .fillFirstHole:
      let element = elements(1)[0]
      if let hole = vector.holes.min() {
        vector.elements[hole] = element
        vector.holes.remove(hole)
        return .fill(element, expected: hole)
      }
      vector.elements.append(element)
      return .fill(element, expected: count)
    case .truncate(let percent):
      let left = index(percent)
      vector.elements.removeLast(count - left)
      vector.holes = vector.holes.filter { $0 < left }
      return .truncate(left)
    }
  }

  /// What makes the first element tell all others, and the stamp.
  private func seal(_ vector: inout VectorModel) -> (stamp: UInt64, edit: Placed) {
    let stamp = (vector.stamps.last?.number ?? 0) + 2
    let seal = vector.seal(stamp)
    guard !vector.elements.isEmpty else {
      vector.elements = [seal]
      return (stamp, .append([seal]))
    }
    vector.elements[0] = seal
    vector.holes.remove(0)
    return (stamp, .update([(0, seal)]))
  }

  /// The stamp to go back to.
  private func target(_ count: Int, _ vector: VectorModel) -> VectorModel.Stamp? {
    vector.stamps.isEmpty ? nil : vector.stamps[max(0, vector.stamps.count - 1 - count)]
  }

  // MARK: Buffered

  private mutating func change(
    _ handle: BufferedVector<UInt32>, _ vector: inout VectorModel, _ change: VectorChange
  ) throws {
    func apply(_ edit: Placed) throws {
      switch edit {
      case .append(let elements): handle.append(contentsOf: elements)
      case .update(let updates):
        for (index, element) in updates { try handle.update(at: index, element) }
      case .take(let index, let expected):
        try require(try handle.take(at: index) == expected, "take gave another element")
      case .fill(let element, let expected):
        let index = try handle.fillFirstHole(orAppend: element)
        try require(index == expected, "the first hole is \(index), not \(expected)")
      case .truncate(let count): try handle.truncate(to: count)
      }
    }
    switch change {
    case .write(let edits), .commit(let edits), .fold(let edits):
      for edit in edits {
        if let placed = place(edit, &vector) { try apply(placed) }
      }
      if case .commit = change {
        let (stamp, edit) = seal(&vector)
        try apply(edit)
        try handle.commit(stamp: stamp)
        vector.commit(stamp)
      } else if case .fold = change {
        try handle.fold()
      } else {
        try handle.write()
      }
    case .rollback(let count):
      guard let target = target(count, vector) else { return }
      try handle.rollback(to: target.number)
      vector.rollBack(to: target)
    case .remove, .rename: throw TestFailure("\(change) is no change of elements")
    }
  }

  // MARK: In a transaction

  private mutating func change(
    _ handle: borrowing some WritableVector<UInt32> & ~Escapable, _ vector: inout VectorModel,
    _ change: VectorChange
  ) throws {
    switch change {
    case .write(let edits), .commit(let edits), .fold(let edits):
      for edit in edits {
        if let placed = place(edit, &vector) { try Self.apply(placed, to: handle) }
      }
      if case .commit = change {
        let (stamp, edit) = seal(&vector)
        try Self.apply(edit, to: handle)
        try handle.commit(stamp: stamp)
        vector.commit(stamp)
      } else if case .fold = change {
        try handle.fold()
      }
    case .rollback(let count):
      guard let target = target(count, vector) else { return }
      let found = try handle.rollback { $0 <= target.number }
      try require(found == target.number, "the stamp is \(found), not \(target.number)")
      vector.rollBack(to: target)
    case .remove, .rename: throw TestFailure("\(change) is no change of elements")
    }
    try require(try handle.count == vector.elements.count, "a vector has another length")
  }

  private static func apply(
    _ edit: Placed, to handle: borrowing some WritableVector<UInt32> & ~Escapable
  ) throws {
    switch edit {
    case .append(let elements): try handle.append(contentsOf: elements)
    case .update(let updates):
      try handle.update(updates.map { ($0.index, $0.element) })
    case .take(let index, let expected):
      try require(try handle.take(at: index) == expected, "take gave another element")
    case .fill(let element, let expected):
      let index = try handle.fillFirstHole(orAppend: element)
      try require(index == expected, "the first hole is \(index), not \(expected)")
    case .truncate(let count): try handle.truncate(to: count)
    }
  }
}

// MARK: Reading

extension VectorModel {
  private init(_ elements: [UInt32], _ vector: some ReadableVector<UInt32>) throws {
    self.elements = elements
    holes = Set(try vector.holes)
    stamps = try vector.stamps.map { Stamp(number: $0, elements: [], holes: []) }
  }

  /// A vector at a snapshot's instant; nothing of what it was at its stamps.
  init(_ name: String, of snapshot: Snapshot) throws {
    if OperationDriver.isCompressed(name) {
      guard let vector = try snapshot.compressedVector(name, of: UInt32.self) else {
        throw TestFailure("there is no vector \"\(name)\"")
      }
      try self.init(try vector.reader().elements(), vector)
    } else {
      guard let vector = try snapshot.rawVector(name, of: UInt32.self) else {
        throw TestFailure("there is no vector \"\(name)\"")
      }
      try self.init(Array(try vector.reader()), vector)
    }
  }

  /// A vector with what it was at all its stamps, each of which is sealed.
  init(_ name: String, of database: Database) throws {
    struct Refusal: Error {}
    try self.init(name, of: try database.snapshot())
    try OperationDriver.openVector(name, in: database).verify()
    var kept: [Stamp] = []
    let numbers = stamps.map(\.number)
    do {
      // Going back, in a transaction that is undone.
      try database.write { transaction in
        for number in numbers.reversed() {
          if OperationDriver.isCompressed(name) {
            let vector = try transaction.compressedVector(name, of: UInt32.self)
            try vector.rollback { $0 == number }
            let elements = try vector.elements(in: 0..<vector.count)
            kept.append(Stamp(number: number, elements: elements, holes: Set(try vector.holes)))
          } else {
            let vector = try transaction.rawVector(name, of: UInt32.self)
            try vector.rollback { $0 == number }
            let elements = Array(try vector.reader())
            kept.append(Stamp(number: number, elements: elements, holes: Set(try vector.holes)))
          }
        }
        throw Refusal()
      }
    } catch is Refusal {}
    for stamp in kept {
      try require(
        stamp.isSealed, "going back to stamp \(stamp.number) of \"\(name)\" leads elsewhere")
    }
    stamps = kept.reversed()
  }
}
