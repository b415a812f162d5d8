internal import Pager

/// Goes through the entries of a range in a snapshot, in either direction.
@usableFromInline
final class RangeWalker {
  private let snapshot: Snapshot
  private let leaf: LeafCursor
  private let range: KeyRange
  private let isReversed: Bool
  private let readsValues: Bool
  private var hasStarted = false
  private var isFinished = false

  /// Where the walk is.
  ///
  /// Behind a pointer, since the runtime would check each access to a class's variables.
  @usableFromInline struct Position {
    /// The next slot, and where the slots of this leaf end that belong to the range.
    var index = 0
    var stop = 0
    /// The current key: valid until the next step.
    @usableFromInline var key = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The current value: valid until the next step.
    @usableFromInline var value = UnsafeRawBufferPointer(start: nil, count: 0)

    init() {}
  }

  @usableFromInline let position: UnsafeMutablePointer<Position>
  /// The current key: valid until the next step.
  @inlinable var key: UnsafeRawBufferPointer { position.pointee.key }
  /// The current value: valid until the next step.
  @inlinable var value: UnsafeRawBufferPointer { position.pointee.value }
  private var largeValue: UnsafeMutableRawBufferPointer?

  init(
    _ tree: Tree, _ range: KeyRange, isReversed: Bool, readsValues: Bool
  ) throws(PagerError) {
    snapshot = try Snapshot(tree)
    position = .allocate(capacity: 1)
    position.initialize(to: Position())
    leaf = LeafCursor(tree: tree, root: snapshot.root)
    self.range = range
    self.isReversed = isReversed
    self.readsValues = readsValues
  }

  deinit {
    largeValue?.deallocate()
    position.deallocate()
  }

  /// Goes on to the next entry; false at the end.
  @usableFromInline func step() throws(DatabaseError) -> Bool {
    if isReversed {
      while position.pointee.index <= position.pointee.stop {
        guard try converting({ () throws(PagerError) in try previousLeaf() }) else { return false }
      }
      position.pointee.index &-= 1
    } else {
      while position.pointee.index >= position.pointee.stop {
        guard try converting({ () throws(PagerError) in try nextLeaf() }) else { return false }
      }
    }
    let entry = leaf.entry(position.pointee.index)
    if !isReversed { position.pointee.index &+= 1 }
    position.pointee.key = entry.key
    position.pointee.value = entry.payload
    if entry.isLarge { try converting { () throws(PagerError) in try loadLarge(entry.payload) } }
    return true
  }

  private func loadLarge(_ payload: UnsafeRawBufferPointer) throws(PagerError) {
    largeValue?.deallocate()
    largeValue = nil
    position.pointee.value = UnsafeRawBufferPointer(start: nil, count: 0)
    guard readsValues else { return }
    guard let large = LargeValue(payload, pageByteCount: leaf.pageByteCount) else {
      throw PagerError(.corrupted, "the reference to a value's bytes makes no sense")
    }
    let bytes = try leaf.tree.load(large)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    room.copyBytes(from: bytes)
    largeValue = room
    position.pointee.value = UnsafeRawBufferPointer(room)
  }

  /// Copies the next leaf with entries of the range; false when there is none.
  private func nextLeaf() throws(PagerError) -> Bool {
    if isFinished { return false }
    if hasStarted {
      guard position.pointee.stop == leaf.count, let fence = leaf.upperFence, isBelowUpper(fence)
      else {
        return finish()
      }
      guard try load(fence, .holding) else { return finish() }
      position.pointee.index = 0
    } else {
      hasStarted = true
      let lower = range.lower ?? []
      guard try load(lower, .holding) else { return finish() }
      position.pointee.index = lower.withUnsafeBytes { leaf.lowerBound($0).index }
    }
    position.pointee.stop =
      range.upper.map { $0.withUnsafeBytes { leaf.lowerBound($0).index } } ?? leaf.count
    return true
  }

  /// The same backwards: the index is one behind the next slot, `stop` the first that belongs.
  private func previousLeaf() throws(PagerError) -> Bool {
    if isFinished { return false }
    if hasStarted {
      guard position.pointee.stop == 0, let fence = leaf.lowerFence, isAboveLower(fence),
        try load(fence, .below)
      else { return finish() }
      position.pointee.index = leaf.count
    } else {
      hasStarted = true
      guard try load(range.upper ?? [], range.upper == nil ? .last : .below) else {
        return finish()
      }
      position.pointee.index =
        range.upper.map { $0.withUnsafeBytes { leaf.lowerBound($0).index } } ?? leaf.count
    }
    position.pointee.stop =
      range.lower.map { $0.withUnsafeBytes { leaf.lowerBound($0).index } } ?? 0
    return true
  }

  private func load(_ key: [UInt8], _ target: LeafCursor.Target) throws(PagerError) -> Bool {
    try key.span.bytes.withUnsafeBytes { (bytes) throws(PagerError) in
      try leaf.load(bytes, target)
    }
  }

  private func finish() -> Bool {
    isFinished = true
    position.pointee.index = 0
    position.pointee.stop = 0
    return false
  }

  private func isBelowUpper(_ fence: [UInt8]) -> Bool {
    guard let upper = range.upper else { return true }
    return fence.withUnsafeBytes { a in upper.withUnsafeBytes { Node.compare(a, $0) < 0 } }
  }

  private func isAboveLower(_ fence: [UInt8]) -> Bool {
    guard let lower = range.lower else { return true }
    return fence.withUnsafeBytes { a in lower.withUnsafeBytes { Node.compare(a, $0) > 0 } }
  }
}
