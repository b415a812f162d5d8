internal import Pager

/// Goes through the entries of a range in a snapshot, or in a transaction, in either direction.
@usableFromInline
final class RangeWalker {
  private let access: TreeAccess
  let leaf: LeafCursor
  private let range: KeyRange
  private let readsValues: Bool
  var isReversed: Bool
  var hasStarted = false
  var isFinished = false
  /// Whether `key` is the last entry's: it lies in the copied leaf, and goes with that.
  var hasKey = false
  /// Where the walk is when `key` does not tell; nil at the beginning.
  var place: Place?
  private let isInTransaction: Bool
  /// What the transaction had changed when the leaf was copied.
  private var changeCount: UInt64 = 0

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

  /// - Parameter access: to a snapshot or a transaction, which nobody else changes.
  init(_ access: TreeAccess, _ range: KeyRange, isReversed: Bool, readsValues: Bool) {
    self.access = access
    position = .allocate(capacity: 1)
    position.initialize(to: Position())
    leaf = LeafCursor(tree: access.tree, root: nil)
    self.range = range
    self.isReversed = isReversed
    self.readsValues = readsValues
    if case .transaction = access.mode { isInTransaction = true } else { isInTransaction = false }
  }

  deinit {
    largeValue?.deallocate()
    position.deallocate()
  }

  /// Goes on to the next entry; false at the end.
  @usableFromInline func step() throws(DatabaseError) -> Bool {
    if isInTransaction { try refresh() }
    if isReversed {
      while position.pointee.index <= position.pointee.stop {
        guard try previousLeaf() else { return false }
      }
      position.pointee.index &-= 1
    } else {
      while position.pointee.index >= position.pointee.stop {
        guard try nextLeaf() else { return false }
      }
    }
    let entry = leaf.entry(position.pointee.index)
    if !isReversed { position.pointee.index &+= 1 }
    hasKey = true
    place = nil
    position.pointee.key = entry.key
    position.pointee.value = entry.payload
    if entry.isLarge { try loadLarge(entry.payload) }
    assert(Pager.areNone(invariantViolations()))
    return true
  }

  /// Looks anew behind the last key when the transaction has changed something since.
  private func refresh() throws(DatabaseError) {
    // Even where nothing has changed, the transaction may have ended.
    try access.read { (_) throws(PagerError) in }
    guard hasStarted, pending == nil,
      changeCount != access.engine.workspace.state.pointee.changeCount
    else { return }
    pending = current
    if pending == nil { hasStarted = false }
    restart()
  }

  /// Prepares for steps in the given direction, from the last key on.
  ///
  /// - Returns: false when the walk has not begun: then there is nothing on the other side.
  func turn(isReversed: Bool) -> Bool {
    guard isReversed != self.isReversed else { return true }
    guard let place = pending ?? current else { return false }
    pending = place
    self.isReversed = isReversed
    restart()
    return true
  }

  /// Prepares for a step to the key, or to the nearest one in the walk's direction.
  func seek(_ key: [UInt8], isReversed: Bool) {
    self.isReversed = isReversed
    pending = Place(key: key, isSoughtReversed: isReversed)
    hasKey = false
    place = nil
    hasStarted = true
    restart()
  }

  private func restart() {
    isFinished = false
    position.pointee.index = 0
    position.pointee.stop = 0
  }

  /// A place between two steps.
  struct Place {
    var key: [UInt8]
    /// Steps in this direction lead to the key itself, those in the other behind it; nil when it
    /// was the key of an entry: then both lead behind it.
    var isSoughtReversed: Bool?
  }

  /// Where the next leaf is to be looked for, if not beside the last one.
  var pending: Place?

  /// Where the walk is; nil at the beginning.
  private var current: Place? { hasKey ? Place(key: Array(key)) : place }

  /// Goes to the place behind a key, in the walk's direction.
  private func goBehind(_ key: [UInt8]) throws(DatabaseError) {
    let bounded = bounded(key)
    let isInside = bounded == key
    guard try load(bounded, .holding) else {
      _ = finish()
      return
    }
    let (index, isFound) = bounded.withUnsafeBytes { leaf.lowerBound($0) }
    if isReversed {
      position.pointee.index = index
      position.pointee.stop = lowerStop
    } else {
      position.pointee.index = isFound && isInside ? index + 1 : index
      position.pointee.stop = upperStop
    }
  }

  /// Goes to the place from which the next step leads to a key or the nearest one.
  private func goTo(_ key: [UInt8]) throws(DatabaseError) {
    let bounded = bounded(key)
    guard try load(bounded, .holding) else {
      _ = finish()
      return
    }
    let isInside = bounded == key
    let (index, isFound) = bounded.withUnsafeBytes { leaf.lowerBound($0) }
    if isReversed {
      // The upper bound itself does not belong to the range, and the lower one lies above a key
      // that was sought below it.
      let isMet = isFound && isInside && bounded != range.upper
      position.pointee.index = isMet ? index + 1 : index
      position.pointee.stop = lowerStop
    } else {
      position.pointee.index = index
      position.pointee.stop = upperStop
    }
  }

  /// A key, or the bound of the range that it lies outside of.
  private func bounded(_ key: [UInt8]) -> [UInt8] {
    if !isAboveLower(key), let lower = range.lower { return lower }
    if !isBelowUpper(key), let upper = range.upper { return upper }
    return key
  }

  /// How many entries are left, found by the leaves alone.
  func countRest() throws(DatabaseError) -> Int {
    var count = 0
    while try nextLeaf() { count += max(0, position.pointee.stop - position.pointee.index) }
    return count
  }

  private var upperStop: Int {
    range.upper.map { $0.withUnsafeBytes { leaf.lowerBound($0).index } } ?? leaf.count
  }

  private var lowerStop: Int {
    range.lower.map { $0.withUnsafeBytes { leaf.lowerBound($0).index } } ?? 0
  }

  private func loadLarge(_ payload: UnsafeRawBufferPointer) throws(DatabaseError) {
    largeValue?.deallocate()
    largeValue = nil
    position.pointee.value = UnsafeRawBufferPointer(start: nil, count: 0)
    guard readsValues else { return }
    let bytes = try access.read { (_) throws(PagerError) in
      guard let large = LargeValue(payload, pageByteCount: leaf.pageByteCount) else {
        throw PagerError(.corrupted, "the reference to a value's bytes makes no sense")
      }
      return try leaf.tree.load(large)
    }
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    room.copyBytes(from: bytes)
    largeValue = room
    position.pointee.value = UnsafeRawBufferPointer(room)
  }

  /// Copies the next leaf with entries of the range; false when there is none.
  private func nextLeaf() throws(DatabaseError) -> Bool {
    if isFinished { return false }
    if try goToPending() { return true }
    if hasStarted {
      guard position.pointee.stop == leaf.count, let fence = leaf.upperFence, isBelowUpper(fence)
      else {
        return finish()
      }
      guard try load(fence, .holding) else { return finish() }
      try checkProgress(from: fence)
      position.pointee.index = 0
    } else {
      hasStarted = true
      let lower = range.lower ?? []
      guard try load(lower, .holding) else { return finish() }
      position.pointee.index = lower.withUnsafeBytes { leaf.lowerBound($0).index }
    }
    position.pointee.stop = upperStop
    return true
  }

  /// The same backwards: the index is one behind the next slot, `stop` the first that belongs.
  private func previousLeaf() throws(DatabaseError) -> Bool {
    if isFinished { return false }
    if try goToPending() { return true }
    if hasStarted {
      guard position.pointee.stop == 0, let fence = leaf.lowerFence, isAboveLower(fence),
        try load(fence, .below)
      else { return finish() }
      try checkProgress(from: fence)
      position.pointee.index = leaf.count
    } else {
      hasStarted = true
      guard try load(range.upper ?? [], range.upper == nil ? .last : .below) else {
        return finish()
      }
      position.pointee.index =
        range.upper.map { $0.withUnsafeBytes { leaf.lowerBound($0).index } } ?? leaf.count
    }
    position.pointee.stop = lowerStop
    return true
  }

  /// Goes where a turn or a seek asked for; false when none did.
  private func goToPending() throws(DatabaseError) -> Bool {
    guard let target = pending else { return false }
    pending = nil
    hasKey = false
    place = target
    if target.isSoughtReversed == isReversed {
      try goTo(target.key)
    } else {
      try goBehind(target.key)
    }
    return true
  }

  private func load(_ key: [UInt8], _ target: LeafCursor.Target) throws(DatabaseError) -> Bool {
    // The copied leaf is overwritten, and with it the last key.
    if hasKey {
      place = current
      hasKey = false
    }
    return try access.read { (root) throws(PagerError) in
      leaf.root = root
      if isInTransaction { changeCount = access.engine.workspace.state.pointee.changeCount }
      return try key.span.bytes.withUnsafeBytes { (bytes) throws(PagerError) in
        try leaf.load(bytes, target)
      }
    }
  }

  /// Read as all else: what a snapshot that was let go shows does not count.
  private func checkProgress(from fence: [UInt8]) throws(DatabaseError) {
    try access.read { (_) throws(PagerError) in
      try leaf.checkProgress(from: fence, isReversed: isReversed)
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
